//! What is handed to the server: headers and text (RFC 5322).

use std::time::{Duration, SystemTime};

use lettre::{
    Address, Message,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
};
use switchhook_core::row::MailServer;
use switchhook_protocol::{endpoint::EndpointId, id::MessageId, time::Timestamp};

use super::TOKEN_HEADER;

/// A mail to send.
#[derive(Clone, Copy)]
pub struct NewMail<'a> {
    /// The host's id of it: its Message-ID, at the sender's domain.
    pub id: &'a MessageId,
    /// To whom.
    pub to: &'a EndpointId,
    /// One line.
    pub subject: &'a str,
    /// Plain text.
    pub text: &'a str,
    /// The token of its link, for clients that read mail themselves.
    pub token: Option<&'a str>,
    /// When it is sent.
    pub at: Timestamp,
}

/// Masked: it holds an address, words and a secret.
impl std::fmt::Debug for NewMail<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewMail").field("id", self.id).field("to", self.to).finish_non_exhaustive()
    }
}

/// The message; none if an address is none, or what would be a header has more than one line.
pub(super) fn message(server: &MailServer, mail: &NewMail<'_>) -> Option<Message> {
    let one_line = |text: &str| !text.chars().any(char::is_control);
    if !one_line(mail.subject) || !one_line(&server.sender_name) || !mail.token.is_none_or(one_line) {
        return None;
    }
    let name = Some(server.sender_name.clone()).filter(|name| !name.is_empty());
    let from = Mailbox::new(name, address(&server.sender)?);
    let domain = server.sender.mail_domain()?;
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(mail.at.as_millis());
    let mut message = Message::builder()
        .from(from)
        .to(Mailbox::new(None, address(mail.to)?))
        .subject(mail.subject)
        .date(at)
        .message_id(Some(format!("<{}@{domain}>", mail.id)))
        // RFC 3834: nobody's holiday answers it.
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".into(),
        ))
        .header(ContentType::TEXT_PLAIN);
    if let Some(token) = mail.token {
        let name = HeaderName::new_from_ascii_str(TOKEN_HEADER);
        message = message.raw_header(HeaderValue::new(name, token.to_owned()));
    }
    message.body(mail.text.to_owned()).ok()
}

fn address(endpoint: &EndpointId) -> Option<Address> {
    let (local, domain) = endpoint.reveal().rsplit_once('@')?;
    Address::new(local, domain).ok()
}

#[cfg(test)]
mod tests {
    use switchhook_core::{mail::Template, row::Security};

    use super::*;

    fn server(name: &str) -> MailServer {
        MailServer {
            host: "smtp.example".to_owned(),
            port: 465,
            security: Security::Tls,
            user: None,
            sender: "no-reply@acme.example".parse().unwrap(),
            sender_name: name.to_owned(),
            template: Template::default(),
        }
    }

    fn written(name: &str, subject: &str, text: &str) -> Option<String> {
        let (id, to) = ("mail-1".parse().unwrap(), "bob@example.com".parse().unwrap());
        let (token, at) = (Some("TOKEN"), Timestamp::from_millis(1_000_000));
        let mail = NewMail { id: &id, to: &to, subject, text, token, at };
        let message = message(&server(name), &mail)?;
        Some(String::from_utf8(message.formatted()).unwrap())
    }

    #[test]
    fn reg_7_a_mail_says_from_whom_to_whom_and_that_no_person_sent_it() {
        let mail = written("Acme", "Hello", "a line\n.\nanother").unwrap();
        for header in [
            "From: Acme <no-reply@acme.example>\r\n",
            "To: bob@example.com\r\n",
            "Subject: Hello\r\n",
            "Message-ID: <mail-1@acme.example>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Switchhook-Token: TOKEN\r\n",
        ] {
            assert!(mail.contains(header), "{header}: {mail}");
        }
        assert!(mail.ends_with("\r\n\r\na line\r\n.\r\nanother"), "{mail}");
    }

    #[test]
    fn reg_7_no_line_of_a_subject_or_name_becomes_a_header() {
        for injected in ["Hello\r\nBcc: all@example.org", "Hello\nBcc: all@example.org", "Hello\rX"] {
            assert_eq!(written("Acme", injected, "text"), None);
            assert_eq!(written(injected, "Hello", "text"), None);
        }
        let unicode = written("Ächme, \"Ltd\" <x@y>", "Grüße: Bcc", "Grüße").unwrap();
        assert!(unicode.is_ascii() && unicode.contains("<no-reply@acme.example>"), "{unicode}");
        assert_eq!(unicode.lines().filter(|line| line.starts_with("Bcc")).count(), 0);
    }
}

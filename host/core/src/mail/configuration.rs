//! What a mail server may be configured to be.

use super::InvalidTemplate;
use crate::row::{MailServer, Security};

/// Longest password, in bytes.
pub const MAX_PASSWORD: usize = 512;

/// Longest name of a server, in bytes (RFC 1035).
const MAX_HOST: usize = 253;

/// Longest name of a user, in bytes: a mail address with room.
const MAX_USER: usize = 320;

/// Longest name of a sender, in bytes.
const MAX_NAME: usize = 128;

/// A rule of a mail server's configuration that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMailServer {
    /// No name or address of a server, or port 0.
    #[error("a mail server is a host name or an address, and a port")]
    Host,
    /// A user's name that is none.
    #[error("a user has 1 to 320 bytes without control characters")]
    User,
    /// A password that is none, or one without a user, or a user without one.
    #[error("a user needs a password of 1 to 512 bytes without control characters, and nobody else one")]
    Password,
    /// A sender whose address is none.
    #[error("a sender's address is an e-mail address")]
    Sender,
    /// A sender's name that is too long or no line.
    #[error("a sender's name is one line of at most 128 bytes")]
    Name,
    /// What its mails say.
    #[error(transparent)]
    Template(#[from] InvalidTemplate),
}

impl MailServer {
    /// Names the first rule that it breaks.
    pub fn check(&self, password: Option<&str>) -> Result<(), InvalidMailServer> {
        let printable = |text: &str| !text.chars().any(char::is_control);
        if !is_host(&self.host) || self.port == 0 {
            return Err(InvalidMailServer::Host);
        }
        if self.user.as_ref().is_some_and(|user| !(1..=MAX_USER).contains(&user.len()) || !printable(user)) {
            return Err(InvalidMailServer::User);
        }
        let fine = match (&self.user, password) {
            (None, None) => true,
            (Some(_), Some(password)) => (1..=MAX_PASSWORD).contains(&password.len()) && printable(password),
            (None, Some(_)) | (Some(_), None) => false,
        };
        fine.then_some(()).ok_or(InvalidMailServer::Password)?;
        self.sender.is_mail_address().then_some(()).ok_or(InvalidMailServer::Sender)?;
        if self.sender_name.len() > MAX_NAME || !printable(&self.sender_name) {
            return Err(InvalidMailServer::Name);
        }
        Ok(self.template.check()?)
    }

    /// Whether a password for that one may be used for this one: the same user of the same server, as well hidden.
    pub fn leads_where(&self, that: &Self) -> bool {
        let hidden = self.security != Security::Plain || that.security == Security::Plain;
        hidden && (&self.host, self.port, &self.user) == (&that.host, that.port, &that.user)
    }
}

fn is_host(host: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    (1..=MAX_HOST).contains(&host.len()) && host.bytes().all(fine)
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;
    use crate::mail::Template;

    fn server() -> MailServer {
        MailServer {
            host: "smtp.example".into(),
            port: 465,
            security: Security::Tls,
            user: Some("acme".into()),
            sender: "no-reply@acme.example".parse().unwrap(),
            sender_name: "Acme".into(),
            template: Template::default(),
        }
    }

    #[test]
    fn reg_7_a_mail_server_is_whole_and_puts_nothing_into_headers() {
        let check = |server: MailServer| server.check(Some("secret"));
        assert_eq!(check(server()), Ok(()));
        assert_eq!(
            check(MailServer { host: "smtp example".into(), ..server() }),
            Err(InvalidMailServer::Host)
        );
        assert_eq!(check(MailServer { port: 0, ..server() }), Err(InvalidMailServer::Host));
        let injected = || String::from("Acme\r\nBcc: all@example.org");
        assert_eq!(check(MailServer { sender_name: injected(), ..server() }), Err(InvalidMailServer::Name));
        assert_eq!(check(MailServer { user: Some(injected()), ..server() }), Err(InvalidMailServer::User));
        let number = MailServer { sender: "+15550100".parse().unwrap(), ..server() };
        assert_eq!(check(number), Err(InvalidMailServer::Sender));
        let template = Template { subject: injected(), ..Template::default() };
        let refused = check(MailServer { template, ..server() });
        assert_eq!(refused, Err(InvalidMailServer::Template(InvalidTemplate::Subject)));
    }

    #[test]
    fn reg_7_a_user_has_a_password_and_nobody_else() {
        let nobody = || MailServer { user: None, ..server() };
        assert_eq!(nobody().check(None), Ok(()));
        for (server, password) in
            [(nobody(), Some("secret")), (server(), None), (server(), Some("")), (server(), Some("a\nb"))]
        {
            assert_eq!(server.check(password), Err(InvalidMailServer::Password), "{password:?}");
        }
    }

    #[test]
    fn reg_7_a_password_stays_with_its_server_and_user_and_is_not_sent_in_clear() {
        let renamed = MailServer { sender_name: "Acme Ltd".into(), ..server() };
        assert!(renamed.leads_where(&server()));
        assert!(MailServer { security: Security::StartTls, ..server() }.leads_where(&server()));
        assert!(!MailServer { security: Security::Plain, ..server() }.leads_where(&server()));
        assert!(!MailServer { host: "elsewhere.example".into(), ..server() }.leads_where(&server()));
        assert!(!MailServer { user: Some("other".into()), ..server() }.leads_where(&server()));
    }
}

//! The tokens in a mail: in its header, and in its text as a reader sees it.

use mail_parser::{Address, Message, MessageParser};
use switchhook_protocol::endpoint::EndpointId;

use super::Expected;
use crate::limits;

/// The header of a mail that has a token.
const HEADER: &str = "Switchhook-Token";

/// Letters and digits of a token.
const TOKEN: usize = 48;

/// What may be the token; nothing if the mail is from somebody else, or to somebody else.
///
/// The text is looked through as it reads: a transfer encoding that splits lines (quoted-printable) has been undone.
pub(crate) fn tokens(mail: &[u8], expected: Expected<'_>) -> Vec<String> {
    let Some(message) = MessageParser::default().parse(mail) else { return Vec::new() };
    if !is(message.from(), expected.sender) || !is(message.to(), expected.address) {
        return Vec::new();
    }
    let mut tokens: Vec<String> = header(&message).into_iter().collect();
    let parts = message.text_body.len();
    for text in (0..parts).filter_map(|part| message.body_text(part)) {
        for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
            if tokens.len() < limits::TOKENS_OF_MAIL
                && is_token(word)
                && !tokens.iter().any(|known| known == word)
            {
                tokens.push(word.to_owned());
            }
        }
    }
    tokens
}

fn header(message: &Message<'_>) -> Option<String> {
    let (_, value) = message.headers_raw().find(|(name, _)| name.eq_ignore_ascii_case(HEADER))?;
    let token: String = value.split_ascii_whitespace().collect();
    is_token(&token).then_some(token)
}

/// Whether the one address of a header is this one.
fn is(header: Option<&Address<'_>>, wanted: &EndpointId) -> bool {
    let mut addresses = header.into_iter().flat_map(|header| header.iter()).filter_map(|each| each.address());
    let same = |address: &str| address.parse::<EndpointId>().is_ok_and(|address| address == *wanted);
    addresses.next().is_some_and(same) && addresses.next().is_none()
}

/// Base32 of 30 bytes.
fn is_token(word: &str) -> bool {
    word.len() == TOKEN && word.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "MZXW6YTBOI3DANBQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    const TWO: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFGHIJKLMNOP";

    fn found(mail: &str) -> Vec<String> {
        let (sender, address) =
            ("no-reply@acme.example".parse().unwrap(), "bob@example.com".parse().unwrap());
        tokens(mail.as_bytes(), Expected { sender: &sender, address: &address })
    }

    fn mail(headers: &str, body: &str) -> String {
        format!("From: Acme <no-reply@acme.example>\r\nTo: bob@Example.com\r\n{headers}\r\n{body}")
    }

    #[test]
    fn reg_8_a_token_stands_in_the_header_and_in_the_text() {
        assert_eq!(found(&mail(&format!("Switchhook-Token: {ONE}\r\n"), "Hello")), [ONE]);
        assert_eq!(found(&mail(&format!("SWITCHHOOK-TOKEN:\r\n {ONE}\r\n"), "Hello")), [ONE]);
        assert_eq!(found(&mail("", &format!("Open https://l.example/v1/acme/links/{ONE}.\r\n"))), [ONE]);
        assert_eq!(
            found(&mail(&format!("Switchhook-Token: {ONE}\r\n"), &format!("{ONE} {TWO}"))),
            [ONE, TWO]
        );
        assert!(found(&mail("Switchhook-Token: short\r\n", ONE.split_at(1).1)).is_empty());
    }

    #[test]
    fn reg_8_a_token_that_quoted_printable_splits_is_whole_again() {
        let headers =
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n";
        let (start, rest) = ONE.split_at(20);
        let body = format!("Gr=C3=BC=C3=9Fe: https://l.example/links/{start}=\r\n{rest}\r\n");
        assert_eq!(found(&mail(headers, &body)), [ONE]);
        let html = "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n";
        let body = format!("<p><a href=3D\"https://l.example\">{start}=\r\n{rest}</a></p>\r\n");
        assert_eq!(found(&mail(html, &body)), [ONE]);
    }

    #[test]
    fn reg_8_mail_of_or_to_somebody_else_is_passed_over() {
        let token = format!("Switchhook-Token: {ONE}\r\n\r\nHello");
        for headers in [
            "From: mallory@evil.example\r\nTo: bob@example.com\r\n",
            "From: no-reply@acme.example <mallory@evil.example>\r\nTo: bob@example.com\r\n",
            "From: no-reply@acme.example\r\nTo: anne@example.com\r\n",
            "From: no-reply@acme.example\r\nTo: bob@example.com, anne@example.com\r\n",
            "From: no-reply@acme.example, mallory@evil.example\r\nTo: bob@example.com\r\n",
            "To: bob@example.com\r\n",
            "",
        ] {
            assert!(found(&format!("{headers}{token}")).is_empty(), "{headers}");
        }
        assert!(found("").is_empty());
    }
}

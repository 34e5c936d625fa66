//! What a mail with a link says: the tenant's words around what the host puts in.
//!
//! `{link}`, `{token}` and `{address}` are put in, in one pass: what is put in is not looked through again, so that an
//! address which has braces of its own changes nothing. Any other brace stays as it is.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};
use switchhook_protocol::endpoint::EndpointId;

/// Longest subject, in bytes, before anything is put in: what mail programs show of it is less.
pub const MAX_SUBJECT: usize = 200;

/// Longest text, in bytes, before anything is put in: a page in several languages, with room.
pub const MAX_TEXT: usize = 16 * 1024;

/// The words of a mail with a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// One line of at most [`MAX_SUBJECT`] bytes.
    pub subject: String,
    /// At most [`MAX_TEXT`] bytes of plain text, with `{link}` or `{token}`.
    pub text: String,
}

/// A rule of a template that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    /// No subject, or one that is too long or no line.
    #[error("a subject is one line of 1 to 200 bytes")]
    Subject,
    /// No text, or one that is too long or has control characters.
    #[error("a text has 1 to 16384 bytes, and no control characters but line breaks and tabs")]
    Text,
    /// Nothing in it leads to the proof.
    #[error("a text has {{link}} or {{token}} in it")]
    NoLink,
}

/// What is put in.
#[derive(Debug, Clone, Copy)]
pub struct Filling<'a> {
    /// Where the address is confirmed.
    pub link: &'a str,
    /// The token in that link.
    pub token: &'a str,
    /// To whom the mail goes.
    pub address: &'a EndpointId,
}

/// A mail's words.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
}

/// Masked: it names a person, and what proves an address.
impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered").finish_non_exhaustive()
    }
}

/// English words for a tenant that has none of its own.
impl Default for Template {
    fn default() -> Self {
        Self {
            subject: "Confirm your e-mail address".into(),
            text: "Somebody, probably you, wants to use {address}.\n\nTo confirm that it is yours, open\n\n\
                   {link}\n\nIf it was not you, do nothing.\n"
                .into(),
        }
    }
}

impl Template {
    /// Names the first rule that it breaks.
    pub fn check(&self) -> Result<(), InvalidTemplate> {
        let Self { subject, text } = self;
        if !(1..=MAX_SUBJECT).contains(&subject.len()) || subject.chars().any(char::is_control) {
            return Err(InvalidTemplate::Subject);
        }
        let strange = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        if !(1..=MAX_TEXT).contains(&text.len()) || text.chars().any(strange) {
            return Err(InvalidTemplate::Text);
        }
        let leads = ["{link}", "{token}"].iter().any(|place| text.contains(place));
        leads.then_some(()).ok_or(InvalidTemplate::NoLink)
    }

    /// Whether its text names the link, not the token alone.
    pub fn has_link(&self) -> bool {
        self.subject.contains("{link}") || self.text.contains("{link}")
    }

    /// The words for one address.
    pub fn render(&self, filling: Filling<'_>) -> Rendered {
        Rendered { subject: filled(&self.subject, filling), text: filled(&self.text, filling) }
    }
}

fn filled(words: &str, filling: Filling<'_>) -> String {
    let places =
        [("{link}", filling.link), ("{token}", filling.token), ("{address}", filling.address.reveal())];
    let mut filled = String::with_capacity(words.len() + filling.link.len());
    let mut rest = words;
    while let Some((before, from)) = rest.find('{').and_then(|brace| rest.split_at_checked(brace)) {
        filled.push_str(before);
        let place = places.iter().find_map(|(place, what)| Some((from.strip_prefix(place)?, *what)));
        let (after, what) = place.unwrap_or_else(|| (from.get(1..).unwrap_or_default(), "{"));
        filled.push_str(what);
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(subject: &str, text: &str) -> Template {
        Template { subject: subject.into(), text: text.into() }
    }

    #[test]
    fn reg_7_a_template_leads_to_the_proof_and_its_subject_is_one_line() {
        assert_eq!(Template::default().check(), Ok(()));
        assert_eq!(template("Hello", "Type {token}").check(), Ok(()));
        assert_eq!(template("Hello", "Welcome").check(), Err(InvalidTemplate::NoLink));
        for subject in ["", "Hello\r\nBcc: all@example.org", "Hello\n", &"x".repeat(201)] {
            assert_eq!(template(subject, "{link}").check(), Err(InvalidTemplate::Subject), "{subject}");
        }
        for text in ["", "{link}\u{7}", &alloc::format!("{{link}}{}", "x".repeat(MAX_TEXT))] {
            assert_eq!(template("Hello", text).check(), Err(InvalidTemplate::Text));
        }
    }

    #[test]
    fn reg_7_what_is_put_in_is_not_looked_through_again() {
        let address = "{token}@example.com".parse().unwrap();
        let filling = Filling { link: "https://l/TOKEN", token: "TOKEN", address: &address };
        let rendered = template("For {address}", "{link} {x} {{token}} {address} {").render(filling);
        assert_eq!(rendered.subject, "For {token}@example.com");
        assert_eq!(rendered.text, "https://l/TOKEN {x} {TOKEN} {token}@example.com {");
    }
}

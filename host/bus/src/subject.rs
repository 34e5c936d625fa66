//! Names of what is talked about.

use std::fmt;

/// What a message is about: words of `a`–`z`, `0`–`9`, `-` and `_`, separated by dots. No wildcards, and no
/// personal data: whoever runs the bus reads it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subject(String);

/// A text that is no subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("words of a-z, 0-9, - and _ with dots between them are a subject")]
pub struct NotASubject;

impl Subject {
    pub(crate) fn to_nats(&self) -> async_nats::Subject {
        async_nats::Subject::from(self.0.as_str())
    }
}

impl TryFrom<String> for Subject {
    type Error = NotASubject;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let in_word = |it: char| matches!(it, 'a'..='z' | '0'..='9' | '-' | '_');
        let is_word = |word: &str| !word.is_empty() && word.chars().all(in_word);
        if text.split('.').all(is_word) { Ok(Self(text)) } else { Err(NotASubject) }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_no_wildcards_and_no_empty_words() {
        let is_one = |text: &str| Subject::try_from(text.to_owned()).is_ok();
        assert!(is_one("switchhook.node.n-1"));
        for wrong in ["", "a..b", "a.*", "a.>", "A", "a b", ".a", "a."] {
            assert!(!is_one(wrong), "{wrong}");
        }
    }
}

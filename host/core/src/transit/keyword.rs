//! Words by which people say, to any gateway, that they want no texts any more, or want them again.
//!
//! They are the host's to heed, whatever methods a tenant has: carriers and laws ask for it, and a sender who
//! texts on is blocked. A keyword stands alone in its text, in any case, perhaps with a full stop.

/// What somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// No more texts.
    Stop,
    /// Texts again.
    Start,
}

/// The words that carriers know as such.
const STOP: [&str; 8] = ["stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"];
const START: [&str; 2] = ["start", "unstop"];

/// The wish that a text is; none if it says anything else.
pub fn wish(text: &str) -> Option<Wish> {
    let word = text.trim().trim_end_matches(['.', '!']);
    let is = |keyword: &&str| word.eq_ignore_ascii_case(keyword);
    if STOP.iter().any(is) {
        return Some(Wish::Stop);
    }
    START.iter().any(is).then_some(Wish::Start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyword_stands_alone() {
        for text in ["STOP", " stop \r\n", "Stop.", "unsubscribe", "OptOut!"] {
            assert_eq!(wish(text), Some(Wish::Stop), "{text}");
        }
        assert_eq!(wish("Start"), Some(Wish::Start));
        for text in ["", "SWH stop now", "stop it", "nonstop", "."] {
            assert_eq!(wish(text), None, "{text}");
        }
    }
}

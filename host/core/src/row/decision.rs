//! What was decided about a session, for "why did it not ring?".

use alloc::string::String;

use switchhook_protocol::{
    endpoint::EndpointId,
    id::{MethodName, SessionId},
    time::Timestamp,
};

use crate::policy::{MAX_MESSAGE, Slot};

/// What a plugin, or its slot's declared default, decided: in a few words, without personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// When.
    pub at: Timestamp,
    /// The plugin's slot.
    pub slot: Slot,
    /// Its name; none where the slot was empty.
    pub plugin: Option<MethodName>,
    /// Its version; 0 where the slot was empty.
    pub version: u32,
    /// What it decided.
    pub outcome: String,
    /// Why the declared default counted instead.
    pub failure: Option<String>,
    /// How long the call took, in microseconds.
    pub micros: u64,
}

/// The ringing of an invited user went on to somebody else's devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Of this session.
    pub session: SessionId,
    /// Position of the user among the invited.
    pub user: u16,
    /// To whom.
    pub to: EndpointId,
    /// When.
    pub at: Timestamp,
}

/// A sentence as it is kept: one line, at most [`MAX_MESSAGE`] bytes. What made it may quote a stranger.
pub fn brief(sentence: &str) -> String {
    let kept = sentence.char_indices().take_while(|(start, c)| start + c.len_utf8() <= MAX_MESSAGE);
    kept.map(|(_, c)| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_kept_as_one_line_that_is_not_too_long() {
        assert_eq!(brief("no\0thing\nmore"), "no thing more");
        let long = "ü".repeat(MAX_MESSAGE);
        assert_eq!(brief(&long), "ü".repeat(MAX_MESSAGE / 2));
        assert_eq!(brief(&alloc::format!("x{long}")).len(), MAX_MESSAGE - 1);
    }
}

//! A client's own exchange with CDX, encrypted both ways under its connection key (NAT-2).
//!
//! `welcome` gives the key, and a handle that only CDX opens, with the key in it: CDX finds it without a table. What is
//! asked and answered is JSON, sealed by XChaCha20-Poly1305 with a random nonce. The associated data is [`QUESTION`] one
//! way and [`ANSWER`] the other, so that nothing can be thrown back at who said it.
//!
//! ```text
//! 0xC4 | length of the handle, 16 bits | handle | nonce, 24 bytes | sealed question      to CDX
//! 0xC5 | nonce, 24 bytes | sealed answer                                                 from CDX
//! ```
//!
//! An answer is never larger than its question: the client pads it with [`PADDING`] characters. No question is answered
//! twice, so who repeats one seals it anew.

use alloc::{string::String, vec::Vec};
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::exchange::MAX_DATAGRAM;

/// First byte of a question.
pub const TO_CDX: u8 = 0xC4;

/// First byte of an answer.
pub const FROM_CDX: u8 = 0xC5;

/// Bytes of a nonce.
pub const NONCE: usize = 24;

/// Associated data of a question.
pub const QUESTION: &[u8] = b"switchhook/1/cdx/question";

/// Associated data of an answer.
pub const ANSWER: &[u8] = b"switchhook/1/cdx/answer";

/// Characters of [`Question::padding`] with which every question is large enough, over IPv4 and IPv6.
pub const PADDING: usize = 160;

/// "Where do you see me?"
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The client's, for the answer.
    pub number: u32,
    /// Anything; it is not looked at.
    #[serde(default)]
    pub padding: String,
}

/// What CDX sees of who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The question's.
    pub number: u32,
    /// Observed: where the question came from.
    pub observed: SocketAddr,
    /// The same, sealed for the host: for
    /// [`ConnectionData::observed`](crate::connection_data::ConnectionData::observed).
    pub sealed: String,
}

/// A question on its way, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Opened by CDX alone.
    pub handle: &'a [u8],
    /// Of this question.
    pub nonce: &'a [u8; NONCE],
    /// The sealed [`Question`].
    pub sealed: &'a [u8],
}

impl<'a> Asked<'a> {
    /// Reads a datagram; none if it is no question, or longer than [`MAX_DATAGRAM`].
    pub fn read(datagram: &'a [u8]) -> Option<Self> {
        let ([TO_CDX, high, low], rest) = datagram.split_first_chunk()? else { return None };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (handle, rest) = rest.split_at_checked(length)?;
        let (nonce, sealed) = rest.split_first_chunk()?;
        let fits = datagram.len() <= MAX_DATAGRAM && !handle.is_empty() && !sealed.is_empty();
        fits.then_some(Self { handle, nonce, sealed })
    }

    /// The datagram; none if it would be longer than [`MAX_DATAGRAM`].
    pub fn write(self) -> Option<Vec<u8>> {
        let length = u16::try_from(self.handle.len()).ok()?;
        let mut datagram = Vec::with_capacity(MAX_DATAGRAM);
        datagram.push(TO_CDX);
        datagram.extend_from_slice(&length.to_be_bytes());
        datagram.extend_from_slice(self.handle);
        datagram.extend_from_slice(self.nonce);
        datagram.extend_from_slice(self.sealed);
        (datagram.len() <= MAX_DATAGRAM).then_some(datagram)
    }
}

/// An answer on its way, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered<'a> {
    /// Of this answer.
    pub nonce: &'a [u8; NONCE],
    /// The sealed [`Answer`].
    pub sealed: &'a [u8],
}

impl<'a> Answered<'a> {
    /// Reads a datagram; none if it is no answer.
    pub fn read(datagram: &'a [u8]) -> Option<Self> {
        let (&FROM_CDX, rest) = datagram.split_first()? else { return None };
        let (nonce, sealed) = rest.split_first_chunk()?;
        Some(Self { nonce, sealed })
    }

    /// Writes the datagram over what is in `out`.
    pub fn write(self, out: &mut Vec<u8>) {
        out.clear();
        out.push(FROM_CDX);
        out.extend_from_slice(self.nonce);
        out.extend_from_slice(self.sealed);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn nat_2_question_and_answer_are_read_as_they_were_written() {
        let asked = Asked { handle: b"handle", nonce: &[7; NONCE], sealed: b"question" };
        let datagram = asked.write().unwrap();
        assert_eq!(datagram[..9], *b"\xC4\x00\x06handle");
        assert_eq!(Asked::read(&datagram), Some(asked));

        let answered = Answered { nonce: &[8; NONCE], sealed: b"answer" };
        let mut out = vec![9; 7];
        answered.write(&mut out);
        assert_eq!(Answered::read(&out), Some(answered));
        assert_eq!((Asked::read(&out), Answered::read(&datagram)), (None, None));
    }

    #[test]
    fn nat_2_what_is_cut_empty_or_too_long_is_no_question() {
        let datagram = Asked { handle: b"handle", nonce: &[7; NONCE], sealed: b"q" }.write().unwrap();
        for cut in 0..datagram.len() {
            assert_eq!(Asked::read(&datagram[..cut]), None, "{cut} bytes");
        }
        assert_eq!(Asked { handle: b"h", nonce: &[7; NONCE], sealed: &[0; MAX_DATAGRAM] }.write(), None);
        let mut long = datagram;
        long.resize(MAX_DATAGRAM + 1, 0);
        assert_eq!(Asked::read(&long), None);
    }
}

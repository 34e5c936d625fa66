//! Reading.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::{
    Algorithm, FINGERPRINT_SIZE, HEADER, Key, MAGIC_COOKIE, NotAMessage, Writer, attribute, fingerprint,
    read_address,
};

/// A well-formed STUN message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    kind: u16,
    transaction: [u8; 12],
    attributes: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads a datagram.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, NotAMessage> {
        let (header, attributes) = datagram.split_first_chunk::<HEADER>().ok_or(NotAMessage::NotStun)?;
        let [t0, t1, l0, l1, c0, c1, c2, c3, transaction @ ..] = *header;
        if t0 & 0xC0 != 0 || [c0, c1, c2, c3] != MAGIC_COOKIE {
            return Err(NotAMessage::NotStun);
        }
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        if !length.is_multiple_of(4) || length != attributes.len() {
            return Err(NotAMessage::Malformed);
        }
        let message = Self { kind: u16::from_be_bytes([t0, t1]), transaction, attributes };
        message.check_attributes(datagram)?;
        Ok(message)
    }

    /// Class and method, see [`message_type`](super::message_type).
    pub const fn message_type(&self) -> u16 {
        self.kind
    }

    /// What ties an answer to its request.
    pub const fn transaction(&self) -> [u8; 12] {
        self.transaction
    }

    /// All attributes in their order: type and value.
    pub fn attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let mut rest = self.attributes;
        // Checked as a whole when the message was read: it ends where the attributes end.
        core::iter::from_fn(move || {
            let (kind, value, after) = split_attribute(rest)?;
            rest = after;
            Some((kind, value))
        })
    }

    /// The value of the first attribute of a type.
    pub fn attribute(&self, kind: u16) -> Option<&'a [u8]> {
        self.attributes().find_map(|(found, value)| (found == kind).then_some(value))
    }

    /// The address in XOR-MAPPED-ADDRESS.
    pub fn xor_mapped_address(&self) -> Option<SocketAddr> {
        read_address(self.attribute(attribute::XOR_MAPPED_ADDRESS)?, &self.transaction)
    }

    /// Whether the message was signed with this key, by the strongest integrity that it carries.
    pub fn is_authentic(&self, key: &Key) -> bool {
        let Some((algorithm, mac)) = self.integrity() else { return false };
        let length = match algorithm {
            Algorithm::Sha1 => algorithm.length(),
            // It may be cut (RFC 8489 §14.6).
            Algorithm::Sha256 => mac.len(),
        };
        key.verify(algorithm, &self.covered_bytes(4 + length), mac)
    }

    /// With what the message is signed.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.integrity().map(|(algorithm, _)| algorithm)
    }

    /// The attributes that the integrity covers which [`Self::is_authentic`] verifies; all if there is none.
    ///
    /// What follows is not the sender's word (RFC 8489 §14.5). Neither is MESSAGE-INTEGRITY before
    /// MESSAGE-INTEGRITY-SHA256, which is verified in its place.
    pub fn covered_attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        let end = self.algorithm().map(Algorithm::attribute);
        self.attributes().take_while(move |(kind, _)| Some(*kind) != end)
    }

    fn integrity(&self) -> Option<(Algorithm, &'a [u8])> {
        let find = |algorithm: Algorithm| Some((algorithm, self.attribute(algorithm.attribute())?));
        find(Algorithm::Sha256).or_else(|| find(Algorithm::Sha1))
    }

    /// What a signature of `signature` bytes covers: the message up to it, with a length that includes it.
    fn covered_bytes(&self, signature: usize) -> Vec<u8> {
        let length = self.covered_attributes().map(|(_, value)| 4 + value.len().next_multiple_of(4)).sum();
        let mut covered = Vec::with_capacity(HEADER + self.attributes.len());
        let mut writer = Writer::new(&mut covered, self.kind, self.transaction);
        writer.out.extend_from_slice(self.attributes.get(..length).unwrap_or_default());
        writer.write_length(signature);
        covered
    }

    fn check_attributes(&self, datagram: &[u8]) -> Result<(), NotAMessage> {
        let mut rest = self.attributes;
        while !rest.is_empty() {
            let (kind, value, after) = split_attribute(rest).ok_or(NotAMessage::Malformed)?;
            if kind == attribute::FINGERPRINT {
                let before = datagram.len().checked_sub(FINGERPRINT_SIZE).and_then(|end| datagram.get(..end));
                let right = before.is_some_and(|bytes| *value == fingerprint::of(bytes));
                return if right && after.is_empty() { Ok(()) } else { Err(NotAMessage::NotStun) };
            }
            rest = after;
        }
        Ok(())
    }
}

fn split_attribute(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let ([t0, t1, l0, l1], rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_be_bytes([*l0, *l1]));
    let (padded, after) = rest.split_at_checked(length.next_multiple_of(4))?;
    Some((u16::from_be_bytes([*t0, *t1]), padded.get(..length)?, after))
}

/// How long the message is that begins so, where a stream carries one after the other (RFC 8489 §6.2.2).
///
/// It needs the first four bytes; what begins so and is no STUN breaks the stream.
pub fn frame_length(begin: [u8; 4]) -> Result<usize, NotAMessage> {
    let [first, _, l0, l1] = begin;
    let attributes = usize::from(u16::from_be_bytes([l0, l1]));
    if first & 0xC0 != 0 {
        return Err(NotAMessage::NotStun);
    }
    if attributes.is_multiple_of(4) { Ok(HEADER + attributes) } else { Err(NotAMessage::Malformed) }
}

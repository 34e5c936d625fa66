//! STUN messages (RFC 8489), as much of them as servers of Binding and TURN read and write.
//!
//! Reading borrows the datagram and copies nothing. A datagram is one of three things: not STUN
//! (dropped), STUN that breaks its own rules (dropped too, RFC 8489 §6.3), or a [`Message`] whose
//! attributes can be walked without further checks. A FINGERPRINT that is there must be right and
//! last, else the datagram is somebody else's protocol (§7).
//!
//! ```text
//!  0                   1                   2                   3
//! |0 0|  message type, 14 bits    |     length of the attributes  |
//! |                  magic cookie 0x2112A442                      |
//! |                  transaction id, 96 bits                      |
//! |  attribute type               |  length without padding       |  value, padded to 4 bytes …
//! ```
//!
//! The crates that have a whole STUN codec need `std` below them; this one builds without.

mod address;
mod fingerprint;
mod integrity;
mod message;
#[cfg(test)]
mod tests;
mod writer;

pub use self::{
    address::read_address,
    integrity::{Algorithm, Key},
    message::{Message, frame_length},
    writer::Writer,
};

/// Size of the header.
pub const HEADER: usize = 20;

const MAGIC_COOKIE: [u8; 4] = 0x2112_A442_u32.to_be_bytes();
const FINGERPRINT_SIZE: usize = 8;

/// Message types: class and method as they stand on the wire (RFC 8489 §5).
pub mod message_type {
    /// A Binding request.
    pub const BINDING_REQUEST: u16 = 0x0001;
    /// The answer to it.
    pub const BINDING_SUCCESS: u16 = 0x0101;
    /// Its refusal.
    pub const BINDING_ERROR: u16 = 0x0111;
}

/// Attribute types (RFC 8489 §18.3).
pub mod attribute {
    /// What old servers wrote without XOR.
    pub const MAPPED_ADDRESS: u16 = 0x0001;
    /// From which other address or port the answer is to come (RFC 5780 §7.2).
    pub const CHANGE_REQUEST: u16 = 0x0003;
    /// Who asks.
    pub const USERNAME: u16 = 0x0006;
    /// HMAC-SHA1 over the message.
    pub const MESSAGE_INTEGRITY: u16 = 0x0008;
    /// Why it was refused.
    pub const ERROR_CODE: u16 = 0x0009;
    /// Which attributes were not understood.
    pub const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
    /// Realm of long-term credentials.
    pub const REALM: u16 = 0x0014;
    /// Nonce of long-term credentials.
    pub const NONCE: u16 = 0x0015;
    /// At which other port of the client's address the answer is wanted (RFC 5780 §7.5).
    pub const RESPONSE_PORT: u16 = 0x0027;
    /// HMAC-SHA256 over the message.
    pub const MESSAGE_INTEGRITY_SHA256: u16 = 0x001C;
    /// Algorithm of long-term credentials.
    pub const PASSWORD_ALGORITHM: u16 = 0x001D;
    /// Who asks, hashed.
    pub const USERHASH: u16 = 0x001E;
    /// Algorithms of long-term credentials that the server takes.
    pub const PASSWORD_ALGORITHMS: u16 = 0x8002;
    /// Where the request came from.
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    /// Where the answer was sent from (RFC 5780 §7.3).
    pub const RESPONSE_ORIGIN: u16 = 0x802B;
    /// The server's other address and port (RFC 5780 §7.4).
    pub const OTHER_ADDRESS: u16 = 0x802C;
    /// CRC-32 over the message.
    pub const FINGERPRINT: u16 = 0x8028;

    /// Whether a receiver that does not know the attribute may ignore it.
    pub const fn is_optional(attribute: u16) -> bool {
        attribute >= 0x8000
    }
}

/// Why a datagram is no STUN message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAMessage {
    /// It is another protocol.
    #[error("not STUN")]
    NotStun,
    /// Its lengths contradict each other.
    #[error("malformed STUN")]
    Malformed,
}

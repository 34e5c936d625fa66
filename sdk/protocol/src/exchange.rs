//! Exchange: the sides of a session tell each other, through CDX, where they may be reached (NAT-2).
//!
//! With a direct verdict each side gets an [`Exchange`]: a ticket that only CDX opens, with the addresses at
//! which CDX has seen the participants. Whoever sends it with a payload has CDX hand the payload to the others,
//! who have opened their NATs for CDX by asking it before. CDX keeps nothing of it.
//!
//! ```text
//! 0xC2 | length of the ticket, 16 bits | ticket | payload      to CDX
//! 0xC3 | place of the sender, 8 bits | payload                 from CDX, to each of the others
//! ```
//!
//! What arrives is shorter than what was sent, so that CDX amplifies nothing. STUN begins with a byte below
//! `0x40`, TURN's channels below `0x80`, datagrams of a session with `0xC0` and `0xC1`: one socket carries all.
//! What the payload says is between the participants, and sealed under the session's media key.

use alloc::{string::String, vec::Vec};
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{
    connection_data::{Candidate, ConnectionData},
    id::SessionId,
};

/// Largest datagram to CDX, in bytes: it passes wherever IPv6 does, and needs no fragments.
pub const MAX_DATAGRAM: usize = 1_200;

/// First byte of what goes to CDX.
pub const TO_CDX: u8 = 0xC2;

/// First byte of what CDX hands on.
pub const FROM_CDX: u8 = 0xC3;

/// What one side needs to reach the others through CDX.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// Where to send it.
    pub cdx: SocketAddr,
    /// Only CDX opens it; base64url without padding.
    pub ticket: String,
    /// Where CDX must see this side. Seen elsewhere, it brings its connection data anew.
    pub own: SocketAddr,
    /// How long CDX takes the ticket, in milliseconds.
    pub expires_in_ms: u64,
}

/// `connection-data`: this side of a session is elsewhere on the network (NAT-5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionDataChanged {
    /// The session ticket.
    pub ticket: String,
    /// The last [`Exchange::ticket`] that this side was given, if it was given any: with it come the addresses
    /// of the others, which the host does not keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<String>,
    /// Who this device is on the network.
    pub connection_data: ConnectionData,
}

/// Answer to `connection-data`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionDataTaken {
    /// For this side from here on; none if CDX has not seen both sides lately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Exchange>,
}

/// The other side is elsewhere on the network: the event `connection-data` (NAT-5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerElsewhere {
    /// The session.
    pub session: SessionId,
    /// Which participant.
    pub alias: String,
    /// Where it may be reached.
    pub candidates: Vec<Candidate>,
    /// For the receiver from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Exchange>,
}

/// What goes to CDX, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToCdx<'a> {
    /// The ticket's bytes.
    pub ticket: &'a [u8],
    /// For the others.
    pub payload: &'a [u8],
}

impl<'a> ToCdx<'a> {
    /// Reads a datagram; none if it is of no exchange, or longer than [`MAX_DATAGRAM`].
    pub fn read(datagram: &'a [u8]) -> Option<Self> {
        let ([TO_CDX, high, low], rest) = datagram.split_first_chunk()? else { return None };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (ticket, payload) = rest.split_at_checked(length)?;
        let fits = datagram.len() <= MAX_DATAGRAM && !ticket.is_empty() && !payload.is_empty();
        fits.then_some(Self { ticket, payload })
    }

    /// The datagram; none if it would be longer than [`MAX_DATAGRAM`].
    pub fn write(self) -> Option<Vec<u8>> {
        let length = u16::try_from(self.ticket.len()).ok()?;
        let mut datagram = Vec::with_capacity(MAX_DATAGRAM);
        datagram.push(TO_CDX);
        datagram.extend_from_slice(&length.to_be_bytes());
        datagram.extend_from_slice(self.ticket);
        datagram.extend_from_slice(self.payload);
        (datagram.len() <= MAX_DATAGRAM).then_some(datagram)
    }
}

/// What CDX hands on, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FromCdx<'a> {
    /// The sender's place among the participants: 0 is the inviter.
    pub sender: u8,
    /// From the sender.
    pub payload: &'a [u8],
}

impl<'a> FromCdx<'a> {
    /// Reads a datagram; none if it is of no exchange.
    pub fn read(datagram: &'a [u8]) -> Option<Self> {
        let ([FROM_CDX, sender], payload) = datagram.split_first_chunk()? else { return None };
        Some(Self { sender: *sender, payload })
    }

    /// Writes the datagram over what is in `out`.
    pub fn write(self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&[FROM_CDX, self.sender]);
        out.extend_from_slice(self.payload);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn nat_2_what_goes_to_cdx_and_comes_from_it_is_read_as_it_was_written() {
        let sent = ToCdx { ticket: b"ticket", payload: b"payload" };
        let datagram = sent.write().unwrap();
        assert_eq!(datagram, b"\xC2\x00\x06ticketpayload");
        assert_eq!(ToCdx::read(&datagram), Some(sent));

        let mut out = vec![9; 7];
        FromCdx { sender: 1, payload: b"payload" }.write(&mut out);
        assert_eq!(out, b"\xC3\x01payload");
        assert_eq!(FromCdx::read(&out), Some(FromCdx { sender: 1, payload: b"payload" }));
        assert!(out.len() < datagram.len());
    }

    #[test]
    fn nat_2_what_is_cut_empty_or_too_long_is_of_no_exchange() {
        let datagram = ToCdx { ticket: b"ticket", payload: b"p" }.write().unwrap();
        for cut in 0..datagram.len() {
            assert_eq!(ToCdx::read(&datagram[..cut]), None, "{cut} bytes");
        }
        assert_eq!(ToCdx::read(b"\xC2\x00\x00payload"), None, "no ticket");
        assert_eq!(ToCdx::read(b"\xC1\x00\x01tp"), None, "something else");
        let room = MAX_DATAGRAM - 3 - 1;
        assert!(ToCdx { ticket: b"t", payload: &vec![0; room] }.write().is_some());
        assert!(ToCdx { ticket: b"t", payload: &vec![0; room + 1] }.write().is_none());
        let mut long = vec![0; MAX_DATAGRAM + 1];
        long[..4].copy_from_slice(b"\xC2\x00\x01t");
        assert_eq!(ToCdx::read(&long), None);
        assert_eq!((FromCdx::read(b"\xC3"), FromCdx::read(b"")), (None, None));
    }
}

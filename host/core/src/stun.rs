//! STUN messages (RFC 8489), as much of them as a Binding server reads and writes.
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

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Size of the header.
pub const HEADER: usize = 20;

const MAGIC_COOKIE: [u8; 4] = 0x2112_A442_u32.to_be_bytes();
const FINGERPRINT_XOR: u32 = 0x5354_554E;
const FINGERPRINT_SIZE: usize = 8;
const INTEGRITY_SIZE: usize = 24;

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
    /// HMAC-SHA256 over the message.
    pub const MESSAGE_INTEGRITY_SHA256: u16 = 0x001C;
    /// Algorithm of long-term credentials.
    pub const PASSWORD_ALGORITHM: u16 = 0x001D;
    /// Who asks, hashed.
    pub const USERHASH: u16 = 0x001E;
    /// Where the request came from.
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
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

    /// Class and method, see [`message_type`].
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

    /// What MESSAGE-INTEGRITY covers, with the length that it was computed with, and its value.
    ///
    /// Attributes behind it are not covered (RFC 8489 §14.5): see [`Self::covered_attributes`].
    pub fn integrity(&self) -> Option<(Vec<u8>, [u8; 20])> {
        let mac = self.attribute(attribute::MESSAGE_INTEGRITY)?.try_into().ok()?;
        let mut covered = Vec::with_capacity(HEADER + self.attributes.len());
        let mut writer = Writer::new(&mut covered, self.kind, self.transaction);
        writer.out.extend_from_slice(self.attributes.get(..self.covered_length())?);
        writer.write_length(INTEGRITY_SIZE);
        Some((covered, mac))
    }

    /// The attributes before MESSAGE-INTEGRITY.
    pub fn covered_attributes(&self) -> impl Iterator<Item = (u16, &'a [u8])> + use<'a> {
        self.attributes().take_while(|(kind, _)| *kind != attribute::MESSAGE_INTEGRITY)
    }

    fn covered_length(&self) -> usize {
        self.covered_attributes().map(|(_, value)| 4 + value.len().next_multiple_of(4)).sum()
    }

    fn check_attributes(&self, datagram: &[u8]) -> Result<(), NotAMessage> {
        let mut rest = self.attributes;
        while !rest.is_empty() {
            let (kind, value, after) = split_attribute(rest).ok_or(NotAMessage::Malformed)?;
            if kind == attribute::FINGERPRINT {
                let before = datagram.len().checked_sub(FINGERPRINT_SIZE).and_then(|end| datagram.get(..end));
                let right = before.is_some_and(|bytes| *value == fingerprint(bytes));
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

/// Reads the value of an attribute that is an address under XOR (RFC 8489 §14.2).
pub fn read_address(value: &[u8], transaction: &[u8; 12]) -> Option<SocketAddr> {
    let ([_, family, p0, p1], address) = value.split_first_chunk::<4>()?;
    let port = u16::from_be_bytes([p0 ^ MAGIC_COOKIE[0], p1 ^ MAGIC_COOKIE[1]]);
    let mut octets = [0; 16];
    octets.get_mut(..address.len())?.copy_from_slice(address);
    mask(&mut octets, transaction);
    let ip = match (family, address.len(), octets) {
        (1, 4, [a, b, c, d, ..]) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        (2, 16, octets) => IpAddr::V6(Ipv6Addr::from(octets)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// XOR with magic cookie and transaction id (RFC 8489 §14.2).
fn mask(octets: &mut [u8; 16], transaction: &[u8; 12]) {
    let key = MAGIC_COOKIE.iter().chain(transaction);
    octets.iter_mut().zip(key).for_each(|(octet, key)| *octet ^= key);
}

/// Writes a message into a buffer that the caller keeps for the next one.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    transaction: [u8; 12],
}

impl<'a> Writer<'a> {
    /// Begins a message; what was in the buffer is forgotten.
    pub fn new(out: &'a mut Vec<u8>, message_type: u16, transaction: [u8; 12]) -> Self {
        out.clear();
        out.extend_from_slice(&message_type.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&MAGIC_COOKIE);
        out.extend_from_slice(&transaction);
        Self { out, transaction }
    }

    /// Adds an attribute; one longer than a message may be is left out.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) {
        let Ok(length) = u16::try_from(value.len()) else {
            return;
        };
        self.out.extend_from_slice(&kind.to_be_bytes());
        self.out.extend_from_slice(&length.to_be_bytes());
        self.out.extend_from_slice(value);
        self.out.resize(self.out.len().next_multiple_of(4), 0);
        self.write_length(0);
    }

    /// Adds XOR-MAPPED-ADDRESS.
    pub fn xor_mapped_address(&mut self, addr: SocketAddr) {
        let mut octets = [0; 16];
        let (family, size) = match addr.ip() {
            IpAddr::V4(ip) => {
                octets.iter_mut().zip(ip.octets()).for_each(|(to, from)| *to = from);
                (1, 4)
            }
            IpAddr::V6(ip) => {
                octets = ip.octets();
                (2, 16)
            }
        };
        mask(&mut octets, &self.transaction);
        let [p0, p1] = addr.port().to_be_bytes();
        let mut value = [0; HEADER];
        let head = [0, family, p0 ^ MAGIC_COOKIE[0], p1 ^ MAGIC_COOKIE[1]];
        value.iter_mut().zip(head.into_iter().chain(octets)).for_each(|(to, from)| *to = from);
        self.attribute(attribute::XOR_MAPPED_ADDRESS, value.get(..4 + size).unwrap_or_default());
    }

    /// Adds ERROR-CODE without a phrase: the number says it all.
    pub fn error_code(&mut self, code: u16) {
        let class = u8::try_from(code / 100).unwrap_or_default();
        let number = u8::try_from(code % 100).unwrap_or_default();
        self.attribute(attribute::ERROR_CODE, &[0, 0, class, number]);
    }

    /// Adds MESSAGE-INTEGRITY, the HMAC-SHA1 that `mac` computes over what was written.
    pub fn integrity(&mut self, mac: impl FnOnce(&[u8]) -> [u8; 20]) {
        // The length covers the attribute before its value is computed (RFC 8489 §14.5).
        self.write_length(INTEGRITY_SIZE);
        let mac = mac(self.out);
        self.attribute(attribute::MESSAGE_INTEGRITY, &mac);
    }

    /// Ends the message with a FINGERPRINT.
    pub fn fingerprint(mut self) {
        // The length covers the FINGERPRINT before its value is computed (RFC 8489 §14.7).
        self.write_length(FINGERPRINT_SIZE);
        let crc = fingerprint(self.out);
        self.attribute(attribute::FINGERPRINT, &crc);
    }

    fn write_length(&mut self, more: usize) {
        let length = u16::try_from(self.out.len() + more - HEADER).unwrap_or(u16::MAX);
        let field = self.out.iter_mut().skip(2);
        field.zip(length.to_be_bytes()).for_each(|(to, from)| *to = from);
    }
}

fn fingerprint(bytes: &[u8]) -> [u8; 4] {
    (crc32(bytes) ^ FINGERPRINT_XOR).to_be_bytes()
}

/// CRC-32 of ITU-T V.42, four bits at a time.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| {
        let [low, ..] = crc.to_le_bytes();
        (crc >> 4) ^ CRC_TABLE.get(usize::from(low & 0xF)).copied().unwrap_or_default()
    };
    !bytes.iter().fold(u32::MAX, |crc, byte| step(step(crc ^ u32::from(*byte))))
}

const CRC_TABLE: [u32; 16] = [
    0x0000_0000,
    0x1DB7_1064,
    0x3B6E_20C8,
    0x26D9_30AC,
    0x76DC_4190,
    0x6B6B_51F4,
    0x4DB2_6158,
    0x5005_713C,
    0xEDB8_8320,
    0xF00F_9344,
    0xD6D6_A3E8,
    0xCB61_B38C,
    0x9B64_C2B0,
    0x86D3_D2D4,
    0xA00A_E278,
    0xBDBD_F21C,
];

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    /// RFC 5769 §2.1, a request with short-term credentials.
    const REQUEST: &str = "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74\
        002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5\
        b2d3f249c1b571a280280004e57a3bcf";
    /// RFC 5769 §2.2, an answer over IPv4.
    const ANSWER_IPV4: &str = "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147\
        e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96";
    /// RFC 5769 §2.3, an answer over IPv6.
    const ANSWER_IPV6: &str = "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a147\
        0113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c";
    /// RFC 5769 §2.4, a request with long-term credentials and no FINGERPRINT.
    const LONG_TERM: &str = "000100602112a44278ad3433c6ad72c029da412e00060012e3839ee38388e383aae38383e382afe382b90000\
        0015001c662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f726700\
        00080014f67024656dd64a3e02b8e0712e85c9a28ca89666";

    fn vector(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        data_encoding::HEXLOWER.decode(&digits).unwrap()
    }

    fn transaction() -> [u8; 12] {
        [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae]
    }

    #[test]
    fn the_requests_of_rfc_5769_are_read() {
        let bytes = vector(REQUEST);
        let request = Message::parse(&bytes).unwrap();
        assert_eq!(request.message_type(), message_type::BINDING_REQUEST);
        assert_eq!(request.transaction(), transaction());
        assert_eq!(request.attribute(attribute::USERNAME), Some(&b"evtj:h6vY"[..]));
        let kinds: Vec<u16> = request.attributes().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [0x8022, 0x0024, 0x8029, 0x0006, 0x0008, 0x8028]);

        let bytes = vector(LONG_TERM);
        let request = Message::parse(&bytes).unwrap();
        assert_eq!(request.attribute(attribute::REALM), Some(&b"example.org"[..]));
    }

    #[test]
    fn the_answers_of_rfc_5769_are_read() {
        let bytes = vector(ANSWER_IPV4);
        let mapped = Message::parse(&bytes).unwrap().xor_mapped_address();
        assert_eq!(mapped, Some("192.0.2.1:32853".parse().unwrap()));

        let bytes = vector(ANSWER_IPV6);
        let mapped = Message::parse(&bytes).unwrap().xor_mapped_address();
        assert_eq!(mapped, Some("[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap()));
    }

    #[test]
    fn the_answers_of_rfc_5769_are_written_byte_by_byte() {
        for hex in [ANSWER_IPV4, ANSWER_IPV6] {
            let bytes = vector(hex);
            let answer = Message::parse(&bytes).unwrap();
            let mut out = Vec::new();
            let mut writer = Writer::new(&mut out, answer.message_type(), answer.transaction());
            writer.attribute(0x8022, answer.attribute(0x8022).unwrap());
            writer.xor_mapped_address(answer.xor_mapped_address().unwrap());
            writer.attribute(
                attribute::MESSAGE_INTEGRITY,
                answer.attribute(attribute::MESSAGE_INTEGRITY).unwrap(),
            );
            // The vectors pad SOFTWARE with a space, we with zero; the padding is the one difference.
            let software_padding = HEADER + 4 + 11;
            assert_eq!(bytes[software_padding], b' ');
            out[software_padding] = b' ';
            let writer = Writer { out: &mut out, transaction: answer.transaction() };
            writer.fingerprint();
            assert_eq!(out, bytes);
        }
    }

    #[test]
    fn an_independent_codec_reads_what_is_written() {
        use stun_types::{attribute as theirs, message};
        for mapped in ["198.51.100.7:1", "[2001:db8::7]:65535"] {
            let mapped: SocketAddr = mapped.parse().unwrap();
            let mut out = Vec::new();
            let mut writer = Writer::new(&mut out, message_type::BINDING_SUCCESS, transaction());
            writer.xor_mapped_address(mapped);
            writer.fingerprint();
            let read = message::Message::from_bytes(&out).unwrap();
            let read = read.attribute::<theirs::XorMappedAddress>().unwrap().addr(read.transaction_id());
            assert_eq!(read, mapped);
        }
    }

    #[test]
    fn what_is_not_stun_is_told_apart_from_what_is_malformed() {
        let good = vector(REQUEST);
        let changed = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            Message::parse(&bytes).map(|_| ())
        };
        assert_eq!(Message::parse(&good[..19]), Err(NotAMessage::NotStun));
        assert_eq!(changed(0, 0x40), Err(NotAMessage::NotStun), "the first two bits are zero");
        assert_eq!(changed(4, 0), Err(NotAMessage::NotStun), "no magic cookie: RFC 3489 or another protocol");
        assert_eq!(changed(30, 0), Err(NotAMessage::NotStun), "the FINGERPRINT is wrong");
        assert_eq!(changed(3, 0x57), Err(NotAMessage::Malformed), "not a multiple of four");
        assert_eq!(changed(3, 0x54), Err(NotAMessage::Malformed), "shorter than the datagram");
        assert_eq!(changed(22, 0xFF), Err(NotAMessage::Malformed), "an attribute beyond the end");
    }

    #[test]
    fn no_change_of_one_byte_and_no_cut_panics() {
        for hex in [REQUEST, ANSWER_IPV4, ANSWER_IPV6, LONG_TERM] {
            let good = vector(hex);
            for at in 0..good.len() {
                let mut bytes = good.clone();
                for byte in [0, 0xFF, good[at] ^ 1] {
                    bytes[at] = byte;
                    walk(&bytes);
                }
                assert!(Message::parse(&good[..at]).is_err());
            }
        }
    }

    fn walk(bytes: &[u8]) {
        if let Ok(message) = Message::parse(bytes) {
            _ = (message.xor_mapped_address(), message.attributes().count());
        }
    }

    #[test]
    fn an_error_code_stands_as_class_and_number() {
        let mut out = vec![1; 99];
        let mut writer = Writer::new(&mut out, message_type::BINDING_ERROR, transaction());
        writer.error_code(420);
        assert_eq!(Message::parse(&out).unwrap().attribute(attribute::ERROR_CODE), Some(&[0, 0, 4, 20][..]));
    }
}

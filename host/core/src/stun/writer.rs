//! Writing.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::{Algorithm, FINGERPRINT_SIZE, HEADER, Key, MAGIC_COOKIE, address, attribute, fingerprint};

/// Writes a message into a buffer that the caller keeps for the next one.
#[derive(Debug)]
pub struct Writer<'a> {
    pub(super) out: &'a mut Vec<u8>,
    pub(super) transaction: [u8; 12],
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
        self.xor_address(attribute::XOR_MAPPED_ADDRESS, addr);
    }

    /// Adds an address under XOR (RFC 8489 §14.2), as TURN has all of its addresses.
    pub fn xor_address(&mut self, kind: u16, addr: SocketAddr) {
        let (value, size) = address::value(addr, Some(&self.transaction));
        self.attribute(kind, value.get(..size).unwrap_or_default());
    }

    /// Adds an address as it is (RFC 8489 §14.1), as RFC 5780 has its addresses.
    pub fn plain_address(&mut self, kind: u16, addr: SocketAddr) {
        let (value, size) = address::value(addr, None);
        self.attribute(kind, value.get(..size).unwrap_or_default());
    }

    /// Adds ERROR-CODE without a phrase: the number says it all.
    pub fn error_code(&mut self, code: u16) {
        let class = u8::try_from(code / 100).unwrap_or_default();
        let number = u8::try_from(code % 100).unwrap_or_default();
        self.attribute(attribute::ERROR_CODE, &[0, 0, class, number]);
    }

    /// Signs what was written, with MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256.
    pub fn sign(&mut self, key: &Key, algorithm: Algorithm) {
        // The length covers the attribute before its value is computed (RFC 8489 §14.5).
        self.write_length(4 + algorithm.length());
        let mac = key.mac(algorithm, self.out);
        self.attribute(algorithm.attribute(), &mac);
    }

    /// Ends the message with a FINGERPRINT.
    pub fn fingerprint(mut self) {
        // The length covers the FINGERPRINT before its value is computed (RFC 8489 §14.7).
        self.write_length(FINGERPRINT_SIZE);
        let crc = fingerprint::of(self.out);
        self.attribute(attribute::FINGERPRINT, &crc);
    }

    pub(super) fn write_length(&mut self, more: usize) {
        let length = u16::try_from(self.out.len() + more - HEADER).unwrap_or(u16::MAX);
        let field = self.out.iter_mut().skip(2);
        field.zip(length.to_be_bytes()).for_each(|(to, from)| *to = from);
    }
}

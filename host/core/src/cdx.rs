//! CDX: what a datagram on one of its ports is answered with (NAT-1, HYB-1).
//!
//! It is a STUN Binding server (RFC 8489) for every standard client. A request that asks for it and
//! is at least as large as the answer also gets the observation, sealed; one that is too small gets
//! the standard answer, so that nobody can have CDX send more than it received. There is no table
//! and no login: an observation is true for whoever brings it within its life.

use alloc::vec::Vec;
use core::net::SocketAddr;

use rand_core::CryptoRng;
use switchhook_protocol::{
    cdx::{OBSERVATION, OBSERVATION_REQUEST},
    time::Timestamp,
};

use crate::{
    observation::Observation,
    seal::KeyRing,
    stun::{Message, NotAMessage, Writer, attribute, message_type},
};

/// Way of a datagram to CDX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Where it came from.
    pub from: SocketAddr,
    /// The CDX address that received it.
    pub to: SocketAddr,
}

/// What was written as the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The address, as standard STUN.
    Binding,
    /// The address, and the sealed observation.
    Observation,
    /// Error 420: an attribute must be understood and is not.
    UnknownAttribute,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Dropped {
    /// It is another protocol.
    #[error("not STUN")]
    NotStun,
    /// It is STUN and breaks its rules.
    #[error("malformed STUN")]
    Malformed,
    /// It is not a Binding request.
    #[error("not a Binding request")]
    NotARequest,
}

/// Answers one datagram; the answer stands in `out` and goes back where the datagram came from.
pub fn answer(
    datagram: &[u8],
    route: Route,
    keys: &KeyRing,
    now: Timestamp,
    rng: &mut impl CryptoRng,
    out: &mut Vec<u8>,
) -> Result<Answer, Dropped> {
    let request = Message::parse(datagram)?;
    if request.message_type() != message_type::BINDING_REQUEST {
        return Err(Dropped::NotARequest);
    }
    if request.attributes().any(|(kind, _)| must_refuse(kind)) {
        refuse(&request, out);
        return Ok(Answer::UnknownAttribute);
    }
    if request.attribute(OBSERVATION_REQUEST).is_some() {
        let observation = Observation { observed: route.from, cdx: route.to, at: now };
        let sealed = observation.seal(keys, rng);
        write(&request, route.from, Some(&sealed), out);
        if out.len() <= datagram.len() {
            return Ok(Answer::Observation);
        }
    }
    write(&request, route.from, None, out);
    Ok(Answer::Binding)
}

fn write(request: &Message<'_>, mapped: SocketAddr, sealed: Option<&str>, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out, message_type::BINDING_SUCCESS, request.transaction());
    writer.xor_mapped_address(mapped);
    if let Some(sealed) = sealed {
        writer.attribute(OBSERVATION, sealed.as_bytes());
    }
    finish(request, writer);
}

/// Error 420 with the attributes that were not understood (RFC 8489 §6.3.1).
fn refuse(request: &Message<'_>, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out, message_type::BINDING_ERROR, request.transaction());
    writer.error_code(420);
    let unknown = request.attributes().map(|(kind, _)| kind).filter(|kind| must_refuse(*kind));
    let unknown: Vec<u8> = unknown.flat_map(u16::to_be_bytes).collect();
    writer.attribute(attribute::UNKNOWN_ATTRIBUTES, &unknown);
    finish(request, writer);
}

/// A FINGERPRINT is for those who use it themselves: 8 bytes less to reflect for the others.
fn finish(request: &Message<'_>, writer: Writer<'_>) {
    if request.attribute(attribute::FINGERPRINT).is_some() {
        writer.fingerprint();
    }
}

/// Whether an attribute must be understood and is not. Credentials are understood and not asked for:
/// Binding is open to everybody.
const fn must_refuse(kind: u16) -> bool {
    let known = matches!(
        kind,
        attribute::MAPPED_ADDRESS
            | attribute::USERNAME
            | attribute::MESSAGE_INTEGRITY
            | attribute::ERROR_CODE
            | attribute::UNKNOWN_ATTRIBUTES
            | attribute::REALM
            | attribute::NONCE
            | attribute::MESSAGE_INTEGRITY_SHA256
            | attribute::PASSWORD_ALGORITHM
            | attribute::USERHASH
            | attribute::XOR_MAPPED_ADDRESS
    );
    !known && !attribute::is_optional(kind)
}

impl From<NotAMessage> for Dropped {
    fn from(reason: NotAMessage) -> Self {
        match reason {
            NotAMessage::NotStun => Self::NotStun,
            NotAMessage::Malformed => Self::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use switchhook_protocol::cdx::REQUEST_PADDING;

    use super::*;
    use crate::{
        seal::{RootKeys, Scope},
        testing::TestRng,
    };

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const TRANSACTION: [u8; 12] = [7; 12];

    fn keys() -> KeyRing {
        RootKeys::new([1; 32], []).ring(Scope::Cdx)
    }

    fn route(from: &str) -> Route {
        Route { from: from.parse().unwrap(), to: "192.0.2.9:3479".parse().unwrap() }
    }

    fn request(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out, message_type::BINDING_REQUEST, TRANSACTION);
        for (kind, value) in attributes {
            writer.attribute(*kind, value);
        }
        out
    }

    fn ask(datagram: &[u8], from: &str) -> Result<(Answer, Vec<u8>), Dropped> {
        let mut out = vec![9; 3];
        answer(datagram, route(from), &keys(), NOW, &mut TestRng(1), &mut out).map(|answer| (answer, out))
    }

    #[test]
    fn nat_1_a_standard_client_learns_its_external_address() {
        for from in ["198.51.100.7:4000", "[2001:db8::7]:4000"] {
            let (answer, out) = ask(&request(&[]), from).unwrap();
            let read = Message::parse(&out).unwrap();
            assert_eq!(answer, Answer::Binding);
            assert_eq!(read.message_type(), message_type::BINDING_SUCCESS);
            assert_eq!(read.transaction(), TRANSACTION);
            assert_eq!(read.xor_mapped_address(), Some(from.parse().unwrap()));
            assert_eq!(read.attributes().count(), 1);
        }
    }

    #[test]
    fn a_fingerprint_is_answered_with_a_fingerprint() {
        let mut datagram = Vec::new();
        Writer::new(&mut datagram, message_type::BINDING_REQUEST, TRANSACTION).fingerprint();
        let (_, out) = ask(&datagram, "198.51.100.7:4000").unwrap();
        assert!(Message::parse(&out).unwrap().attribute(attribute::FINGERPRINT).is_some());
    }

    #[test]
    fn hyb_1_who_asks_before_any_login_gets_what_was_seen_sealed() {
        for from in ["198.51.100.7:4000", "[2001:db8:1234:5678:9abc:def0:1234:5678]:65535"] {
            let datagram = request(&[(OBSERVATION_REQUEST, &[0; REQUEST_PADDING])]);
            let (answer, out) = ask(&datagram, from).unwrap();
            assert_eq!(answer, Answer::Observation);
            assert!(out.len() <= datagram.len());
            let sealed = Message::parse(&out).unwrap().attribute(OBSERVATION).unwrap();
            let opened = Observation::open(&keys(), core::str::from_utf8(sealed).unwrap(), NOW).unwrap();
            assert_eq!(opened, Observation { observed: route(from).from, cdx: route(from).to, at: NOW });
        }
    }

    #[test]
    fn a_request_smaller_than_the_answer_gets_no_observation() {
        let mut smallest = None;
        for padding in 0..REQUEST_PADDING {
            let datagram = request(&[(OBSERVATION_REQUEST, &vec![0; padding])]);
            let (answer, out) = ask(&datagram, "198.51.100.7:4000").unwrap();
            match answer {
                Answer::Observation => {
                    assert!(out.len() <= datagram.len());
                    smallest.get_or_insert(padding);
                }
                Answer::Binding => assert_eq!((out.len(), smallest), (32, None)),
                Answer::UnknownAttribute => panic!("every attribute is known"),
            }
        }
        assert!(smallest.is_some());
    }

    #[test]
    fn what_must_be_understood_and_is_not_is_named() {
        // CHANGE-REQUEST (RFC 5780) needs a second address, PRIORITY (RFC 8445) a peer.
        let datagram = request(&[(0x0003, &[0; 4]), (0x8022, b"client"), (0x0024, &[0; 4])]);
        let (answer, out) = ask(&datagram, "198.51.100.7:4000").unwrap();
        let read = Message::parse(&out).unwrap();
        assert_eq!(answer, Answer::UnknownAttribute);
        assert_eq!(read.message_type(), message_type::BINDING_ERROR);
        assert_eq!(read.attribute(attribute::ERROR_CODE), Some(&[0, 0, 4, 20][..]));
        assert_eq!(read.attribute(attribute::UNKNOWN_ATTRIBUTES), Some(&[0, 3, 0, 0x24][..]));
    }

    #[test]
    fn what_is_no_binding_request_is_dropped() {
        assert_eq!(ask(b"hello", "198.51.100.7:1"), Err(Dropped::NotStun));
        let mut allocate = request(&[]);
        allocate[1] = 3;
        assert_eq!(ask(&allocate, "198.51.100.7:1"), Err(Dropped::NotARequest));
        let mut malformed = request(&[(0x8022, b"name")]);
        malformed[23] = 200;
        assert_eq!(ask(&malformed, "198.51.100.7:1"), Err(Dropped::Malformed));
    }

    #[test]
    fn an_answer_is_never_answered() {
        let (_, binding) = ask(&request(&[]), "198.51.100.7:1").unwrap();
        let (_, refusal) = ask(&request(&[(0x0003, &[0; 4])]), "198.51.100.7:1").unwrap();
        assert_eq!(ask(&binding, "198.51.100.7:1"), Err(Dropped::NotARequest));
        assert_eq!(ask(&refusal, "198.51.100.7:1"), Err(Dropped::NotARequest));
    }
}

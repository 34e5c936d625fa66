//! CDX: what a datagram on one of its ports is answered with (NAT-1, HYB-1), what it answers in secret ([`own`]), and
//! what it hands on ([`exchange`]).
//!
//! It is a STUN Binding server (RFC 8489) for every standard client. A request that asks for it and
//! is at least as large as the answer also gets the observation, sealed; one that is too small gets
//! the standard answer, so that nobody can have CDX send more than it received. There is no table
//! and no login: an observation is true for whoever brings it within its life.
//!
//! Clients also discover how their NAT behaves (RFC 5780). A server with two addresses says where it
//! answers from and which other address and port it has, and answers from there when asked to. With one
//! address it can change its port only: it names no other address, and refuses to change it, so that
//! nobody takes for measured what one address cannot tell. It answers to [another port](behaviour) of the client's where
//! asked to. Addresses are all that a standard answer has beyond its request, at most [`STANDARD_EXCESS`] bytes.

mod behaviour;
pub mod exchange;
pub mod own;

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use rand_core::CryptoRng;
use switchhook_protocol::{
    cdx::{OBSERVATION, OBSERVATION_REQUEST},
    time::Timestamp,
};

pub use self::behaviour::Origin;
use self::behaviour::Wish;
use crate::{
    observation::Observation,
    seal::KeyRing,
    stun::{Message, NotAMessage, Writer, attribute, message_type},
};

/// Bytes by which an answer without an observation may be larger than its request: four IPv6 addresses.
pub const STANDARD_EXCESS: usize = 4 * 24;

/// Way of a datagram to CDX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Where it came from.
    pub from: SocketAddr,
    /// The CDX address that received it.
    pub to: SocketAddr,
    /// From where else the same CDX could answer.
    pub others: Others,
}

/// The alternatives to an address of CDX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Others {
    /// Its other port.
    pub port: u16,
    /// Its other address, if it has two.
    pub ip: Option<IpAddr>,
}

/// What was written, and how it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// What was written.
    pub answer: Answer,
    /// From where.
    pub origin: Origin,
    /// To where: the request's source, or another port of its address.
    pub to: SocketAddr,
}

/// What was written as the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The address, as standard STUN.
    Binding,
    /// The address, and the sealed observation.
    Observation,
    /// Error 420: an attribute must be understood and is not, or asks for what CDX cannot do.
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

/// Answers one datagram; the answer stands in `out`.
pub fn answer(
    datagram: &[u8],
    route: Route,
    keys: &KeyRing,
    now: Timestamp,
    rng: &mut impl CryptoRng,
    out: &mut Vec<u8>,
) -> Result<Reply, Dropped> {
    let request = binding_request(datagram)?;
    let wish = Wish::of(&request, route.others);
    if refuse(&request, wish.refused(), out) {
        return Ok(Reply { answer: Answer::UnknownAttribute, origin: Origin::default(), to: route.from });
    }
    let origin = wish.origin.unwrap_or_default();
    if let Ok(Some(port)) = wish.port {
        // The address alone: nobody else's port is sent more than a few bytes beyond the request.
        write(&request, route.from, out, |_| ());
        let to = SocketAddr::new(route.from.ip(), port.get());
        return Ok(Reply { answer: Answer::Binding, origin, to });
    }
    let to = route.from;
    if request.attribute(OBSERVATION_REQUEST).is_some() {
        let observation = Observation { observed: route.from, cdx: route.to, at: now };
        let sealed = observation.seal(keys, rng);
        write(&request, route.from, out, |writer| writer.attribute(OBSERVATION, sealed.as_bytes()));
        if out.len() <= datagram.len() {
            return Ok(Reply { answer: Answer::Observation, origin, to });
        }
    }
    write(&request, route.from, out, |writer| behaviour::describe(writer, &request, route, origin));
    Ok(Reply { answer: Answer::Binding, origin, to })
}

/// Answers one message of a stream, over which only standard STUN is spoken: what CDX sees of a TCP
/// connection says nothing about datagrams, and its answer has one way back.
pub fn answer_in_stream(message: &[u8], from: SocketAddr, out: &mut Vec<u8>) -> Result<Answer, Dropped> {
    let request = binding_request(message)?;
    if refuse(&request, &[attribute::CHANGE_REQUEST, attribute::RESPONSE_PORT], out) {
        return Ok(Answer::UnknownAttribute);
    }
    write(&request, from, out, |_| ());
    Ok(Answer::Binding)
}

fn binding_request(bytes: &[u8]) -> Result<Message<'_>, Dropped> {
    let request = Message::parse(bytes)?;
    let is_request = request.message_type() == message_type::BINDING_REQUEST;
    if is_request { Ok(request) } else { Err(Dropped::NotARequest) }
}

fn write(request: &Message<'_>, mapped: SocketAddr, out: &mut Vec<u8>, more: impl FnOnce(&mut Writer<'_>)) {
    let mut writer = Writer::new(out, message_type::BINDING_SUCCESS, request.transaction());
    writer.xor_mapped_address(mapped);
    more(&mut writer);
    finish(request, writer);
}

/// Writes error 420 with the attributes that must be understood and are not (RFC 8489 §6.3.1), if
/// there are any; those that are understood and ask for what CDX cannot do are among them.
fn refuse(request: &Message<'_>, impossible: &[u16], out: &mut Vec<u8>) -> bool {
    let kinds = request.attributes().map(|(kind, _)| kind);
    let refused = kinds.filter(|kind| must_refuse(*kind) || impossible.contains(kind));
    let refused: Vec<u8> = refused.flat_map(u16::to_be_bytes).collect();
    if refused.is_empty() {
        return false;
    }
    let mut writer = Writer::new(out, message_type::BINDING_ERROR, request.transaction());
    writer.error_code(420);
    writer.attribute(attribute::UNKNOWN_ATTRIBUTES, &refused);
    finish(request, writer);
    true
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
            | attribute::CHANGE_REQUEST
            | attribute::RESPONSE_PORT
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
mod tests;

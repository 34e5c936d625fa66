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
//! nobody takes for measured what one address cannot tell. Addresses are all that a standard answer has
//! beyond its request, at most [`STANDARD_EXCESS`] bytes.

pub mod exchange;
pub mod own;

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

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

/// What was written, and from where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// What was written.
    pub answer: Answer,
    /// From where.
    pub origin: Origin,
}

/// Which of the addresses of CDX an answer goes out from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Origin {
    /// From the other address than the request's.
    pub other_ip: bool,
    /// From the other port.
    pub other_port: bool,
}

/// What was written as the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The address, as standard STUN.
    Binding,
    /// The address, and the sealed observation.
    Observation,
    /// Error 420: an attribute must be understood and is not, or asks for an address that CDX has not.
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
) -> Result<Reply, Dropped> {
    let request = binding_request(datagram)?;
    let origin = origin(&request, route.others);
    if refuse(&request, origin.is_none(), out) {
        return Ok(Reply { answer: Answer::UnknownAttribute, origin: Origin::default() });
    }
    let origin = origin.unwrap_or_default();
    if request.attribute(OBSERVATION_REQUEST).is_some() {
        let observation = Observation { observed: route.from, cdx: route.to, at: now };
        let sealed = observation.seal(keys, rng);
        write(&request, route.from, out, |writer| writer.attribute(OBSERVATION, sealed.as_bytes()));
        if out.len() <= datagram.len() {
            return Ok(Reply { answer: Answer::Observation, origin });
        }
    }
    write(&request, route.from, out, |writer| describe(writer, &request, route, origin));
    Ok(Reply { answer: Answer::Binding, origin })
}

/// Answers one message of a stream, over which only standard STUN is spoken: what CDX sees of a TCP
/// connection says nothing about datagrams, and its answer has one way back.
pub fn answer_in_stream(message: &[u8], from: SocketAddr, out: &mut Vec<u8>) -> Result<Answer, Dropped> {
    let request = binding_request(message)?;
    if refuse(&request, true, out) {
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

/// From where the client wants its answer (RFC 5780 §7.2); nothing if CDX is not there.
fn origin(request: &Message<'_>, others: Others) -> Option<Origin> {
    let Some(value) = request.attribute(attribute::CHANGE_REQUEST) else { return Some(Origin::default()) };
    let flags = u32::from_be_bytes(value.try_into().ok()?);
    let origin = Origin { other_ip: flags & 0b100 != 0, other_port: flags & 0b010 != 0 };
    Some(origin).filter(|origin| others.ip.is_some() || !origin.other_ip)
}

fn write(request: &Message<'_>, mapped: SocketAddr, out: &mut Vec<u8>, more: impl FnOnce(&mut Writer<'_>)) {
    let mut writer = Writer::new(out, message_type::BINDING_SUCCESS, request.transaction());
    writer.xor_mapped_address(mapped);
    more(&mut writer);
    finish(request, writer);
}

/// Where the answer comes from, and where it could come from, for those who can make use of it.
fn describe(writer: &mut Writer<'_>, request: &Message<'_>, route: Route, origin: Origin) {
    let Others { port, ip } = route.others;
    if ip.is_some() || request.attribute(attribute::CHANGE_REQUEST).is_some() {
        let from_ip = ip.filter(|_| origin.other_ip).unwrap_or_else(|| route.to.ip());
        let from_port = if origin.other_port { port } else { route.to.port() };
        writer.plain_address(attribute::RESPONSE_ORIGIN, SocketAddr::new(from_ip, from_port));
    }
    if let Some(ip) = ip {
        writer.plain_address(attribute::OTHER_ADDRESS, SocketAddr::new(ip, port));
        // Without XOR too: a gateway that meddles with addresses in datagrams is found out by it.
        writer.plain_address(attribute::MAPPED_ADDRESS, route.from);
    }
}

/// Writes error 420 with the attributes that must be understood and are not (RFC 8489 §6.3.1), if
/// there are any. Where CDX cannot answer from, CHANGE-REQUEST is one of them.
fn refuse(request: &Message<'_>, no_change: bool, out: &mut Vec<u8>) -> bool {
    let kinds = request.attributes().map(|(kind, _)| kind);
    let refused =
        kinds.filter(|kind| must_refuse(*kind) || (no_change && *kind == attribute::CHANGE_REQUEST));
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

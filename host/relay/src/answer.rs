//! Answers to requests, and refusals.

use std::net::SocketAddr;

use switchhook_core::stun::{Message, Writer, attribute as stun_attribute};
use tokio::time::Instant;

use crate::{
    challenge,
    connections::ConnectionId,
    family::Family,
    gate::{PASSWORD_ALGORITHMS, Visitor},
    host::Host,
    refusal::Refusal,
    reservations::ReservationToken,
    tickets::Ticket,
    wire::{attribute, message_type, must_refuse},
};

/// What a request that passes is answered with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Allocated {
        relayed: Vec<SocketAddr>,
        seconds: u32,
        /// Where the client is seen.
        mapped: SocketAddr,
        reserved: Option<ReservationToken>,
        /// There is no second address though the client wanted one.
        only_one: bool,
        /// For the next address of a client that asked for one.
        ticket: Option<Ticket>,
    },
    /// It is answered as before.
    Repeated(Box<[u8]>),
    Refreshed {
        seconds: u32,
        /// For the next address of a client that has just come to this one.
        ticket: Option<Ticket>,
    },
    /// The peer has answered: what the connection with it is called.
    Connected(ConnectionId),
    Done,
}

impl Answer {
    /// Writes it, signed for whom it is for.
    pub(crate) fn write(&self, out: &mut Vec<u8>, request: &Message<'_>, visitor: &Visitor) {
        if let Self::Repeated(answer) = self {
            out.clear();
            out.extend_from_slice(answer);
            return;
        }
        let kind = request.message_type() | message_type::SUCCESS;
        let mut writer = Writer::new(out, kind, request.transaction());
        match self {
            Self::Allocated { relayed, seconds, mapped, reserved, only_one, ticket } => {
                for addr in relayed {
                    writer.xor_address(attribute::XOR_RELAYED_ADDRESS, *addr);
                }
                writer.attribute(attribute::LIFETIME, &seconds.to_be_bytes());
                writer.xor_mapped_address(*mapped);
                if let Some(token) = reserved {
                    writer.attribute(attribute::RESERVATION_TOKEN, token);
                }
                if *only_one {
                    writer.attribute(attribute::ADDRESS_ERROR_CODE, &[Family::V6.wire(), 0, 4, 40]);
                }
                give(&mut writer, ticket.as_ref());
            }
            Self::Refreshed { seconds, ticket } => {
                writer.attribute(attribute::LIFETIME, &seconds.to_be_bytes());
                give(&mut writer, ticket.as_ref());
            }
            Self::Connected(id) => writer.attribute(attribute::CONNECTION_ID, id),
            Self::Repeated(_) | Self::Done => {}
        }
        writer.sign(&visitor.key, visitor.algorithm);
    }
}

fn give(writer: &mut Writer<'_>, ticket: Option<&Ticket>) {
    if let Some(ticket) = ticket {
        writer.attribute(attribute::MOBILITY_TICKET, ticket.as_bytes());
    }
}

impl Host {
    /// Writes a refusal for somebody whose credentials do not count; false where its source has asked too much, and is
    /// not answered.
    pub(crate) fn turn_away(
        &self,
        out: &mut Vec<u8>,
        request: &Message<'_>,
        (from, now): (SocketAddr, Instant),
        refusal: Refusal,
    ) -> bool {
        let may = self.may_answer(from.ip(), now);
        if may {
            self.refuse(out, request, from, (refusal, None));
        }
        may
    }

    /// Writes a refusal; signed where it is known for whom.
    pub(crate) fn refuse(
        &self,
        out: &mut Vec<u8>,
        request: &Message<'_>,
        from: SocketAddr,
        (refusal, visitor): (Refusal, Option<&Visitor>),
    ) {
        // Every client begins without credentials, to learn realm and nonce: that is no refusal.
        if request.algorithm().is_some() {
            self.metrics.refused(refusal);
        }
        let kind = request.message_type() | message_type::ERROR;
        let mut writer = Writer::new(out, kind, request.transaction());
        writer.error_code(refusal.code());
        if refusal == Refusal::UnknownAttribute {
            let unknown =
                request.covered_attributes().map(|(kind, _)| kind).filter(|kind| must_refuse(*kind));
            let unknown: Vec<u8> = unknown.flat_map(u16::to_be_bytes).collect();
            writer.attribute(stun_attribute::UNKNOWN_ATTRIBUTES, &unknown);
        }
        if refusal.is_challenge() {
            let nonce = challenge::nonce(&self.keys(), from, (self.clock)());
            writer.attribute(stun_attribute::NONCE, nonce.as_bytes());
            writer.attribute(stun_attribute::REALM, self.realm.as_bytes());
            writer.attribute(stun_attribute::PASSWORD_ALGORITHMS, &PASSWORD_ALGORITHMS);
        }
        if let Some(visitor) = visitor {
            writer.sign(&visitor.key, visitor.algorithm);
        }
    }
}

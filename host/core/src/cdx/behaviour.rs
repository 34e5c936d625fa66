//! What a client finds out about its NAT (RFC 5780): from where it wants its answer, and at which port.
//!
//! An answer from elsewhere than it was asked for shows what the NAT lets in. An answer at another port of the client's
//! shows whether the mapping that had that port lives still (§4.6). Who asks for that has somebody's port of one address,
//! its own or that of a neighbour behind the same NAT, sent an answer without the request: as much as whoever forges a
//! source has from any STUN server, and less to read in it.

use core::{net::SocketAddr, num::NonZeroU16};

use super::{Others, Route};
use crate::stun::{Message, Writer, attribute};

/// Which of the addresses of CDX an answer goes out from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Origin {
    /// From the other address than the request's.
    pub other_ip: bool,
    /// From the other port.
    pub other_port: bool,
}

/// How a client wants its answer.
pub(super) struct Wish {
    /// From where (RFC 5780 §7.2); none if CDX is not there.
    pub(super) origin: Option<Origin>,
    /// At which other port of its own, if it names one (§7.5).
    pub(super) port: Result<Option<NonZeroU16>, NoPort>,
}

/// What is named is no port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoPort;

impl Wish {
    pub(super) fn of(request: &Message<'_>, others: Others) -> Self {
        let origin =
            request.attribute(attribute::CHANGE_REQUEST).map_or_else(|| Some(Origin::default()), origin);
        let origin = origin.filter(|origin| others.ip.is_some() || !origin.other_ip);
        let port = request.attribute(attribute::RESPONSE_PORT).map(port).transpose();
        Self { origin, port }
    }

    /// Attributes by which it asks for what CDX cannot do.
    pub(super) const fn refused(&self) -> &'static [u16] {
        match (self.origin, self.port) {
            (Some(_), Ok(_)) => &[],
            (None, Ok(_)) => &[attribute::CHANGE_REQUEST],
            (Some(_), Err(NoPort)) => &[attribute::RESPONSE_PORT],
            (None, Err(NoPort)) => &[attribute::CHANGE_REQUEST, attribute::RESPONSE_PORT],
        }
    }
}

fn origin(value: &[u8]) -> Option<Origin> {
    let flags = u32::from_be_bytes(value.try_into().ok()?);
    Some(Origin { other_ip: flags & 0b100 != 0, other_port: flags & 0b010 != 0 })
}

/// 16 bits, and as many of padding; some count these as the value's.
fn port(value: &[u8]) -> Result<NonZeroU16, NoPort> {
    let ([high, low] | [high, low, _, _]) = *value else { return Err(NoPort) };
    NonZeroU16::new(u16::from_be_bytes([high, low])).ok_or(NoPort)
}

/// Says where the answer comes from, and where it could come from, to those who can make use of it.
pub(super) fn describe(writer: &mut Writer<'_>, request: &Message<'_>, route: Route, origin: Origin) {
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

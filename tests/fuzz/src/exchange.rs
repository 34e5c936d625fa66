//! What strangers send to CDX to have it sent on.

use std::net::{Ipv4Addr, SocketAddr};

use switchhook_core::{
    cdx::{Others, Route, exchange},
    exchange::ExchangeTicket,
};
use switchhook_protocol::{
    exchange::{FromCdx, ToCdx},
    time::Timestamp,
};

use crate::keys::cdx_keys;

/// A datagram. Nothing that the host has not sealed is handed on, whatever it looks like; what is read is
/// written as it was; and what would be handed on is shorter than what came.
pub fn exchange(bytes: &[u8]) -> bool {
    let cdx = SocketAddr::from((Ipv4Addr::LOCALHOST, 3479));
    let route = Route { from: cdx, to: cdx, others: Others { port: 3480, ip: None } };
    let handed = exchange::hand_on(bytes, route, &cdx_keys(), Timestamp::from_millis(0));
    assert!(handed.is_err(), "nobody but the host makes a ticket");
    let Some(to_cdx) = ToCdx::read(bytes) else { return false };
    assert!(ExchangeTicket::open(&cdx_keys(), to_cdx.ticket).is_err(), "a ticket that nobody made");
    assert_eq!(to_cdx.write().as_deref(), Some(bytes));
    let mut out = Vec::new();
    FromCdx { sender: 0, payload: to_cdx.payload }.write(&mut out);
    assert!(out.len() < bytes.len());
    assert_eq!(FromCdx::read(&out).map(|it| it.payload), Some(to_cdx.payload));
    true
}

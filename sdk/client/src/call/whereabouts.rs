//! Where this device is on the network, and the telling of it: to the host, and through CDX to the other side (NAT-5).
//!
//! What CDX has seen is told. Where CDX has not answered, nothing is: that would take from the other side what it knows.
//! CDX is asked again instead, after pauses that double, and so is it where the host could not be told.

use core::{net::SocketAddr, time::Duration};
use std::time::Instant;

use switchhook_protocol::exchange::{ConnectionDataChanged, Exchange};
use tokio::task::JoinSet;

use super::{attempt::now, footing::Footing, way::Way};
use crate::{
    client::CallError,
    gather::{Gathered, Observer},
    limits,
};

/// See the module.
pub(super) struct Whereabouts {
    observer: Observer,
    /// Where this side may be reached, the best first.
    candidates: Vec<SocketAddr>,
    /// The last ticket for CDX.
    exchange: Option<Exchange>,
    /// The device's own addresses, as the other side has been told; later, as they were seen last, if there were any.
    addresses: Vec<SocketAddr>,
    announcing: JoinSet<Result<Option<Exchange>, CallError>>,
    /// When CDX is asked again, and after which pause the time after.
    again: Option<Instant>,
    pause: Duration,
}

impl Whereabouts {
    pub(super) fn new(observer: Observer, candidates: Vec<SocketAddr>, addresses: Vec<SocketAddr>) -> Self {
        Self {
            observer,
            candidates,
            exchange: None,
            addresses,
            announcing: JoinSet::new(),
            again: None,
            pause: limits::LOOK_AGAIN,
        }
    }

    /// Has CDX asked over this way, unless that is under way.
    pub(super) fn ask(&mut self, way: &mut Way) {
        self.again = None;
        way.gather(&self.observer);
    }

    /// What CDX has said: told to the host, if it said anything.
    pub(super) fn gathered(&mut self, gathered: Gathered, footing: &Footing) {
        if gathered.connection_data.observed.is_empty() {
            return self.ask_later();
        }
        self.candidates = gathered.candidates;
        let exchange = self.exchange.as_ref().map(|exchange| exchange.ticket.clone());
        let (ticket, connection_data) = (footing.ticket.clone(), gathered.connection_data);
        let change = ConnectionDataChanged { ticket, exchange, connection_data };
        let client = footing.client.clone();
        self.announcing
            .spawn(async move { client.connection_data(&change).await.map(|taken| taken.exchange) });
    }

    /// What became of an announcement: the new ticket for CDX. Never, while none is under way.
    pub(super) async fn announced(&mut self) -> Option<Exchange> {
        loop {
            match self.announcing.join_next().await {
                Some(Ok(Ok(exchange))) => {
                    self.pause = limits::LOOK_AGAIN;
                    return exchange;
                }
                Some(Ok(Err(error))) => {
                    tracing::debug!(%error, "the host was not told where this device is");
                    // No is no; whatever else it was may pass.
                    if !matches!(error, CallError::Refused(_) | CallError::Closed) {
                        self.ask_later();
                        return None;
                    }
                }
                Some(Err(error)) => tracing::debug!(%error, "an announcement ended before its answer"),
                None => core::future::pending().await,
            }
        }
    }

    /// Whether CDX is to be asked again now.
    pub(super) fn is_due(&self) -> bool {
        self.again.is_some_and(|again| again <= now())
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.again
    }

    /// Tells the other side over this way, through CDX.
    pub(super) fn tell(&mut self, exchange: Exchange, way: &mut Way, footing: &Footing) {
        way.tell(&exchange, footing.basis(), &self.candidates);
        self.exchange = Some(exchange);
    }

    /// The other side's move has brought another ticket.
    pub(super) fn keep_ticket(&mut self, exchange: Exchange) {
        self.exchange = Some(exchange);
    }

    /// Whether this side was seen here when it looked last.
    pub(super) fn is_at(&self, addr: SocketAddr) -> bool {
        self.candidates.contains(&addr)
    }

    /// Whether the device has other addresses than when this was asked last, or than it was told to have at first.
    pub(super) fn have_changed(&mut self, addresses: Vec<SocketAddr>) -> bool {
        if addresses.is_empty() || addresses == self.addresses {
            return false;
        }
        !core::mem::replace(&mut self.addresses, addresses).is_empty()
    }

    fn ask_later(&mut self) {
        self.again = Some(now() + self.pause);
        self.pause = (self.pause * 2).min(limits::LOOK_AGAIN_MAX);
    }
}

//! What a call rests on, whatever path it takes: who both sides are, and how this one reaches host and network.

use core::time::Duration;
use std::sync::Arc;

use switchhook_protocol::{
    call::{PathKind, PathReport},
    endpoint::EndpointId,
    session::Renewed,
    time::millis,
};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::way::Basis;
use crate::{
    client::Client,
    limits,
    network::Network,
    secure::{KeyError, MediaKey, Secrets, Side},
};

/// See the module.
#[derive(Clone)]
pub(super) struct Footing {
    pub(super) client: Client,
    pub(super) network: Arc<dyn Network>,
    pub(super) secrets: Secrets,
    pub(super) side: Side,
    /// By which the host knows this side's place in the session.
    pub(super) ticket: String,
    /// By which the peer takes part.
    pub(super) peer: EndpointId,
}

impl Footing {
    /// Somebody has left: the host takes this ticket alone, and what begins from here on is under this key (INV-11).
    /// What runs goes on under the keys that both sides have.
    pub(super) fn renew(&mut self, renewed: Renewed) -> Result<(), KeyError> {
        if renewed.towards == self.peer {
            self.secrets.media_key = MediaKey::read(&renewed.media_key)?;
            self.ticket = renewed.ticket;
        }
        Ok(())
    }

    pub(super) const fn basis(&self) -> Basis<'_> {
        Basis { secrets: &self.secrets, side: self.side }
    }

    /// Tells which path worked, for policies that learn. It goes aside, for a bounded time: a host that does not answer
    /// changes nothing, and nobody waits for it.
    pub(super) fn report(&self, path: PathKind, took: Duration) {
        let report = PathReport { ticket: self.ticket.clone(), path, took_ms: millis(took) };
        let client = self.client.clone();
        TaskTracker::new().spawn(async move {
            match timeout(limits::REPORT, client.path_report(&report)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::debug!(%error, "the host was not told which path worked"),
                Err(_) => tracing::debug!("the host took no report of which path worked in time"),
            }
        });
    }
}

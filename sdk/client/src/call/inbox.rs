//! What the host says about the session, and what of it waits until there is use for it.

use core::net::SocketAddr;

use switchhook_protocol::{exchange::PeerElsewhere, relay::RelayCredentials, session::Renewed};
use tokio::sync::mpsc::Receiver;

use super::CallFailed;
use crate::sessions::SessionEvent;

/// See the module.
#[derive(Debug)]
pub(super) struct Inbox {
    pub(super) events: Receiver<SessionEvent>,
    /// Where the peer's relay has put it last.
    pub(super) relayed: Option<SocketAddr>,
    /// The peer's last move.
    pub(super) elsewhere: Option<Box<PeerElsewhere>>,
    /// The ticket and key that count.
    pub(super) renewed: Option<Box<Renewed>>,
}

impl Inbox {
    pub(super) const fn new(events: Receiver<SessionEvent>, relayed: Option<SocketAddr>) -> Self {
        Self { events, relayed, elsewhere: None, renewed: None }
    }

    /// Waits for credentials that the other side asked for; none if nothing more is said.
    pub(super) async fn given(&mut self) -> Result<Option<RelayCredentials>, CallFailed> {
        loop {
            match self.events.recv().await {
                Some(SessionEvent::Given(given)) => return Ok(Some(given.relay)),
                Some(SessionEvent::Relayed(relayed)) => self.relayed = Some(relayed.relayed),
                Some(SessionEvent::Elsewhere(elsewhere)) => self.elsewhere = Some(elsewhere),
                Some(SessionEvent::Renewed(renewed)) => self.renewed = Some(renewed),
                Some(SessionEvent::Ended) => return Err(CallFailed::Ended),
                None => return Ok(None),
            }
        }
    }
}

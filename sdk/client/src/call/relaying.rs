//! Ways through the relay: asked for, followed, or mended (NAT-4, REL-2, REL-4).
//!
//! Usually one of both sides asks for the relay: the callee when patience is over, the inviter a
//! little later, unless the host has told it of the callee's wish by then. Who is told follows at
//! once, even from a path that looked good: a side that asks has none.
//!
//! A relay knows a client by the address that it comes from. Where that changes, nothing comes any more, and nobody
//! says so. So who hears nothing over the relay asks it for its address again. If that says that it is this side's leg
//! that is broken, or says nothing, the address at the relay is taken along to where this device is now (RFC 8016), and
//! the peer notices nothing; where the relay does not let it, or has started again, the leg is made anew. The peer
//! is told of the new one (relay update) and keeps its own; the keys stay.
//!
//! An allocation ends with the credentials that it was made with. Before that another line is made, as if the relay were
//! asked for, while this one carries.

use core::{net::SocketAddr, time::Duration};
use std::{sync::Arc, time::Instant};

use switchhook_protocol::{
    call::PathKind,
    relay::{RelayCredentials, RelayRequest, RelayUpdate},
};
use tokio::time::timeout;

use super::{
    CallFailed,
    attempt::{Attempt, Outcome, now},
    footing::Footing,
    inbox::Inbox,
    way::Way,
};
use crate::{limits, path::Pace, relay::Allocation, secure::Side, sessions::SessionEvent};

/// This side's part of a way through the relay.
#[derive(Debug, Clone)]
pub(super) struct Leg {
    allocation: Arc<Allocation>,
    credentials: RelayCredentials,
    /// When to ask for others: the allocation ends with them.
    pub(super) renewal: Instant,
}

impl Leg {
    /// Gets an address at the relay, and tells the peer of it.
    async fn open(
        footing: &Footing,
        credentials: RelayCredentials,
        renewal: Instant,
    ) -> Result<Self, CallFailed> {
        let allocation =
            Arc::new(Allocation::open_trusting(&*footing.network, &credentials, footing.client.tls()).await?);
        let (relayed, observed) = (allocation.relayed(), allocation.observed());
        let ticket = footing.ticket.clone();
        footing.client.relay_update(&RelayUpdate { ticket, relayed, observed }).await?;
        Ok(Self { allocation, credentials, renewal })
    }

    /// A way that begins here, to where the peer's relay has put it.
    pub(super) fn way(&self, footing: &Footing, peer: Option<SocketAddr>) -> Way {
        let socket = Arc::clone(&self.allocation);
        Way::new(PathKind::Relay, socket, footing.basis(), peer, Pace::through_relay())
    }
}

/// Asks for the relay, unless the other side has done so first, and finds a path through it.
pub(super) async fn ask(footing: Footing, mut inbox: Inbox) -> Result<Box<Attempt>, CallFailed> {
    let credentials = footing.ask_for_relay(&mut inbox).await?;
    Ok(Box::new(footing.through_relay(credentials, &mut inbox).await?))
}

/// Finds a path through the relay that the other side has asked for.
pub(super) async fn follow(
    footing: Footing,
    credentials: RelayCredentials,
    mut inbox: Inbox,
) -> Result<Box<Attempt>, CallFailed> {
    Ok(Box::new(footing.through_relay(credentials, &mut inbox).await?))
}

/// Makes this side's leg anew, if it is the one that is broken and does not follow.
pub(super) async fn mend(footing: Footing, leg: Leg) -> Result<Option<Leg>, CallFailed> {
    let Leg { allocation, credentials, renewal } = leg;
    if allocation.is_kept().await || allocation.follow(&*footing.network).await {
        return Ok(None);
    }
    Leg::open(&footing, credentials, renewal).await.map(Some)
}

impl Footing {
    /// Asks for the relay, unless the other side has done so first.
    pub(super) async fn ask_for_relay(&self, inbox: &mut Inbox) -> Result<RelayCredentials, CallFailed> {
        let grace = match self.side {
            Side::Inviter => limits::INVITER_GRACE,
            Side::Callee => Duration::ZERO,
        };
        if let Ok(given) = timeout(grace, inbox.given()).await
            && let Some(credentials) = given?
        {
            return Ok(credentials);
        }
        let request = RelayRequest { ticket: self.ticket.clone() };
        Ok(self.client.relay_request(&request).await?.relay)
    }

    pub(super) async fn through_relay(
        &self,
        credentials: RelayCredentials,
        inbox: &mut Inbox,
    ) -> Result<Attempt, CallFailed> {
        let life = Duration::from_millis(credentials.expires_in_ms);
        let leg = Leg::open(self, credentials, now() + life * 3 / 4).await?;
        let way = leg.way(self, inbox.relayed);
        let mut attempt = Attempt::new(way, &self.secrets, self.side, limits::RELAY)?;
        attempt.leg = Some(leg);
        match attempt.run(inbox).await {
            Outcome::Established => Ok(attempt),
            Outcome::Told(SessionEvent::Ended) => Err(CallFailed::Ended),
            Outcome::Told(
                SessionEvent::Given(_)
                | SessionEvent::Relayed(_)
                | SessionEvent::Elsewhere(_)
                | SessionEvent::Renewed(_),
            )
            | Outcome::NoPath => Err(CallFailed::NoPath),
        }
    }
}

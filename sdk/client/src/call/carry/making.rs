//! A way through the relay in the making, beside the path that carries.

use core::pin::Pin;

use switchhook_protocol::relay::RelayCredentials;
use tokio::sync::mpsc::{Sender, channel};

use crate::{
    call::{
        CallFailed,
        attempt::Attempt,
        engine::Engine,
        inbox::Inbox,
        relaying::{self, Leg},
    },
    limits,
    sessions::SessionEvent,
};

/// See the module. Every step of it is bounded: the host's answer, the relay's, the search and the handshake.
pub(super) struct Making {
    making: Pin<Box<dyn Future<Output = Made> + Send>>,
    /// Who makes a line has to hear of the other side's part; a leg is this side's alone.
    tell: Option<Sender<SessionEvent>>,
}

/// What was made.
pub(super) enum Made {
    /// Another line, for both sides.
    Line(Result<Box<Attempt>, CallFailed>),
    /// This side's leg of the same line; none if it could be kept, or the other one is broken, if any is.
    Leg(Result<Option<Leg>, CallFailed>),
}

impl Making {
    /// Asks for the relay.
    pub(super) fn asking(engine: &Engine) -> Self {
        let (tell, inbox) = inbox();
        let line = relaying::ask(engine.footing.clone(), inbox);
        Self { making: Box::pin(async { Made::Line(line.await) }), tell: Some(tell) }
    }

    /// The other side has asked for it.
    pub(super) fn following(engine: &Engine, given: RelayCredentials) -> Self {
        let (tell, inbox) = inbox();
        let line = relaying::follow(engine.footing.clone(), given, inbox);
        Self { making: Box::pin(async { Made::Line(line.await) }), tell: Some(tell) }
    }

    /// Nothing comes over the relay.
    pub(super) fn mending(engine: &Engine, leg: Leg) -> Self {
        let leg = relaying::mend(engine.footing.clone(), leg);
        Self { making: Box::pin(async { Made::Leg(leg.await) }), tell: None }
    }

    /// Passes on what the other side's part needs; false if a line is not what is made.
    pub(super) fn hear(&self, event: SessionEvent) -> bool {
        let Some(tell) = &self.tell else { return false };
        if tell.try_send(event).is_err() {
            tracing::debug!("the relay is spoken of more often than a line needs");
        }
        true
    }
}

/// Waits for what is made; for ever if nothing is.
pub(super) async fn made(making: &mut Option<Making>) -> Made {
    match making {
        Some(Making { making, .. }) => making.await,
        None => core::future::pending().await,
    }
}

/// Each side makes its part of another line anew: where the other one's was until now leads to the line that is left.
fn inbox() -> (Sender<SessionEvent>, Inbox) {
    let (tell, events) = channel(limits::SESSION_EVENTS);
    (tell, Inbox::new(events, None))
}

//! A way through the relay that is made beside: when one is begun, and what becomes of it.

use super::{
    Carrying, Ended, Flow,
    making::{Made, Making},
};
use crate::{
    call::{CallFailed, attempt::now, engine::Engine, relaying::Leg},
    limits,
};

impl Carrying<'_> {
    /// Makes a way through the relay, unless one is in the making.
    pub(super) fn make<T>(&mut self, making: impl FnOnce(&Engine, T) -> Making, of: T) {
        if self.making.is_none() {
            self.making = Some(making(self.engine, of));
        }
    }

    /// Makes another line in time: this one ends with its credentials.
    pub(super) fn renew_relay(&mut self) {
        if let Some(leg) = &mut self.line.leg {
            leg.renewal = now() + limits::RENEW_AGAIN;
            self.make(|engine, ()| Making::asking(engine), ());
        }
    }

    /// A way through the relay is there, or none can be made.
    pub(super) fn take_made(&mut self, made: Made) -> Flow {
        self.making = None;
        match made {
            Made::Line(Ok(line)) => Flow::Break(Ended::Moved(line)),
            Made::Leg(Ok(Some(leg))) => {
                self.take_leg(leg);
                Flow::Continue(())
            }
            // The other side's leg may be in the making; the search waits for it, for a bounded time. Or this side has
            // gone elsewhere once more before the path was found.
            Made::Leg(Ok(None)) => {
                self.look_again = Some(now() + limits::DOUBT);
                Flow::Continue(())
            }
            Made::Line(Err(CallFailed::Ended)) | Made::Leg(Err(CallFailed::Ended)) => {
                Flow::Break(Ended::Over)
            }
            Made::Line(Err(_)) | Made::Leg(Err(_)) if self.carries_beside() => {
                self.drop_reserve();
                Flow::Continue(())
            }
            Made::Line(Err(error)) => {
                tracing::info!(%error, "the call cannot move to the relay");
                self.not_moved();
                Flow::Continue(())
            }
            Made::Leg(Err(error)) => {
                tracing::info!(%error, "the call's way through the relay cannot be mended");
                // Other credentials may do, or another relay.
                self.make(|engine, ()| Making::asking(engine), ());
                Flow::Continue(())
            }
        }
    }

    /// The same line from a new address of this side's, under the same keys.
    fn take_leg(&mut self, leg: Leg) {
        let peer = self.engine.inbox.relayed.or_else(|| self.line_in_use().map(|line| line.established.peer));
        self.line.way = leg.way(&self.engine.footing, peer);
        self.line.leg = Some(leg);
    }

    /// Perhaps the host has not heard yet where this device is; when patience is over, the relay is asked for again.
    fn not_moved(&mut self) {
        self.line.way.search.start_over(now());
        self.start_over();
    }
}

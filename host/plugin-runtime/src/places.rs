//! Places among the instances, for which calls wait by the rules of [`Turns`].

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use switchhook_protocol::id::TenantId;
use tokio::{sync::oneshot, time::timeout};

use crate::{
    clock::Stopwatch,
    failure::Failure,
    limits::{PART, SWEEP, Share},
    turns::{Burned, NoTurn, Ticket, Turns},
};

/// Who asks: a tenant, or nobody yet (a component that is looked at before it is a tenant's).
pub(crate) type Asker = Option<TenantId>;

/// The places of one engine. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Places(Arc<Inner>);

/// A place among the instances, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    asker: Asker,
    /// What its asker pays for; who leaves a call alone pays all that it might have burned.
    pub(crate) burned: Burned,
}

#[derive(Debug)]
struct Inner {
    since: Stopwatch,
    turns: Mutex<Turns<Asker, oneshot::Sender<Place>>>,
}

/// A call that waits, and no longer does when dropped.
struct Waiting<'a> {
    places: &'a Places,
    asker: &'a Asker,
    ticket: Ticket,
    /// A place that comes too late is dropped with it, and so given back.
    turn: oneshot::Receiver<Place>,
}

impl Places {
    pub(crate) fn new(places: u32, share: Share) -> Self {
        let turns = Turns::new(places, places.div_ceil(PART), share);
        Self(Arc::new(Inner { since: Stopwatch::start(), turns: Mutex::new(turns) }))
    }

    /// A place for a call; [`Failure::Busy`] when none is this asker's in time, [`Failure::Spent`] when it
    /// burned its share in vain.
    pub(crate) async fn place(&self, asker: Asker, patience: Duration) -> Result<Place, Failure> {
        if self.turns().take(&asker, self.now()) {
            return Ok(self.given(asker));
        }
        let (given, turn) = oneshot::channel();
        let ticket = self.turns().wait(&asker, given, self.now())?;
        let mut waiting = Waiting { places: self, asker: &asker, ticket, turn };
        // Its last call may have ended, or its debt may be paid, since it was told to wait.
        self.give();
        match timeout(patience, &mut waiting.turn).await {
            Ok(turn) => turn.map_err(|_dropped| Failure::Spent),
            Err(_) => Err(Failure::Busy),
        }
    }

    /// Gives the places that are free to those whose turn it is.
    fn give(&self) {
        while let Some((asker, waiting)) = self.next() {
            // Who has gone meanwhile drops the place, which gives it back.
            let _gone = waiting.send(self.given(asker));
        }
    }

    fn next(&self) -> Option<(Asker, oneshot::Sender<Place>)> {
        self.turns().next(self.now())
    }

    fn given(&self, asker: Asker) -> Place {
        Place { places: self.clone(), asker, burned: Burned::default() }
    }

    fn end(&self, asker: &Asker, burned: Burned) {
        let now = self.now();
        let mut turns = self.turns();
        turns.end(asker, burned, now);
        if turns.known() > SWEEP {
            turns.forget_idle(now);
        }
        drop(turns);
        self.give();
    }

    fn now(&self) -> Duration {
        self.0.since.elapsed()
    }

    fn turns(&self) -> MutexGuard<'_, Turns<Asker, oneshot::Sender<Place>>> {
        self.0.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whether somebody pays for it.
    pub(crate) const fn is_of_tenant(&self) -> bool {
        self.asker.is_some()
    }
}

impl From<NoTurn> for Failure {
    fn from(why: NoTurn) -> Self {
        match why {
            NoTurn::Full => Self::Busy,
            NoTurn::Spent => Self::Spent,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let asker = mem::take(&mut self.asker);
        self.places.end(&asker, self.burned);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.places.turns().withdraw(self.asker, self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Class;

    #[tokio::test]
    async fn a_place_given_back_goes_to_who_waits() {
        let places = places(1);
        let first = places.place(None, Duration::ZERO).await.unwrap();

        let (second, ()) =
            tokio::join!(places.place(Some(tenant("b")), Duration::from_secs(1)), async { drop(first) });

        assert!(second.is_ok());
    }

    #[tokio::test]
    async fn who_waits_in_vain_is_told_busy_and_costs_no_place() {
        let places = places(1);
        let first = places.place(Some(tenant("a")), Duration::ZERO).await.unwrap();

        let second = places.place(Some(tenant("b")), Duration::ZERO).await;
        assert_eq!(second.unwrap_err(), Failure::Busy);

        drop(first);
        assert!(places.place(Some(tenant("c")), Duration::ZERO).await.is_ok());
    }

    #[tokio::test]
    async fn a_call_that_is_dropped_while_it_waits_costs_no_place() {
        let places = places(1);
        let first = places.place(Some(tenant("a")), Duration::ZERO).await.unwrap();

        {
            let waits = places.place(Some(tenant("b")), Duration::from_secs(1));
            tokio::pin!(waits);
            assert!(waits_after_a_poll(waits.as_mut()).await);
            drop(first);
        }

        assert!(places.place(Some(tenant("c")), Duration::ZERO).await.is_ok());
    }

    #[tokio::test]
    async fn plug_4_who_burned_its_share_in_vain_is_told_at_once_also_while_it_waits() {
        let places = places(1);
        let mut first = places.place(Some(tenant("a")), Duration::ZERO).await.unwrap();
        first.burned = Burned { fuel: u64::MAX, in_vain: true };

        let (second, ()) =
            tokio::join!(places.place(Some(tenant("a")), Duration::from_mins(1)), async { drop(first) });
        let third = places.place(Some(tenant("a")), Duration::from_mins(1)).await;

        assert_eq!((second.unwrap_err(), third.unwrap_err()), (Failure::Spent, Failure::Spent));
        assert!(places.place(Some(tenant("b")), Duration::ZERO).await.is_ok());
    }

    #[tokio::test]
    async fn plug_4_one_tenants_calls_leave_places_to_another() {
        let places = places(4);
        let _held = places.place(Some(tenant("a")), Duration::ZERO).await.unwrap();

        let over = places.place(Some(tenant("a")), Duration::ZERO).await;
        let other = places.place(Some(tenant("b")), Duration::ZERO).await;

        assert_eq!(over.unwrap_err(), Failure::Busy);
        assert!(other.is_ok());
    }

    fn places(count: u32) -> Places {
        Places::new(count, Class::Small.room().share)
    }

    /// Whether a future is pending after one poll.
    async fn waits_after_a_poll<F: Future + Unpin>(mut future: F) -> bool {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(std::pin::Pin::new(&mut future).poll(context).is_pending())
        })
        .await
    }

    fn tenant(name: &str) -> TenantId {
        name.parse().unwrap()
    }
}

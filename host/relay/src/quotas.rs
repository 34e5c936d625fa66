//! How many allocations there are: of all, of each tenant, session and participant.

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use switchhook_core::relay_token::{RelayShare, RelayToken};
use switchhook_protocol::id::{DeviceId, SessionId, TenantId};
use tokio::sync::Notify;

use crate::{held::Held, metrics::Metrics, refusal::Refusal, silence::Seat};

/// Whose an allocation is: tokens are renewed, the participant stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Participant {
    /// Of this tenant.
    pub tenant: TenantId,
    /// In this session.
    pub session: SessionId,
    /// By this device.
    pub device: DeviceId,
}

impl From<RelayToken> for Participant {
    fn from(token: RelayToken) -> Self {
        Self { tenant: token.tenant, session: token.session, device: token.device }
    }
}

/// How many allocations may be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// By one participant of one session.
    ///
    /// Four: a browser asks by each way at once (UDP, TCP, TLS), and a client that changes networks allocates anew
    /// before the former allocation is over. Beyond that those of silent clients give way.
    pub each_participant: usize,
    /// By all participants of one session. A session of some dozens is a conference, one of more is
    /// somebody who hands tokens on.
    pub each_session: usize,
    /// In all sessions of one tenant.
    pub each_tenant: usize,
    /// On this relay host: each is a socket, and its buffers in the kernel.
    pub all: usize,
}

impl Quota {
    /// The same for a tenant that has no more than its share.
    fn below(self, share: RelayShare) -> Self {
        let own = share.allocations.map_or(usize::MAX, |own| usize::try_from(own).unwrap_or(usize::MAX));
        Self { each_tenant: self.each_tenant.min(own), ..self }
    }
}

impl Default for Quota {
    fn default() -> Self {
        Self { each_participant: 4, each_session: 128, each_tenant: 10_000, all: 10_000 }
    }
}

#[derive(Debug)]
pub(crate) struct Quotas {
    quota: Quota,
    held: Mutex<Held>,
    /// The last is given back.
    empty: Notify,
    metrics: Metrics,
}

/// A place for one allocation, until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    quotas: Arc<Quotas>,
    participant: Participant,
    seat: Arc<Seat>,
}

impl Quotas {
    pub(crate) fn new(quota: Quota, metrics: Metrics) -> Self {
        Self { quota, held: Mutex::default(), empty: Notify::new(), metrics }
    }

    /// Gives a participant a place, if its own quota and those of its session and tenant leave one, its tenant's share
    /// does, and the relay has room; else that of one of its own allocations, if the client of that is silent. `now` is since the relay's start.
    pub(crate) fn take(
        self: &Arc<Self>,
        (participant, share): (&Participant, RelayShare),
        now: Duration,
    ) -> Result<Place, Refusal> {
        let seat = Arc::new(Seat::new(now));
        let mut held = self.held();
        let refusal = held.refusal(participant, &self.quota.below(share));
        match refusal {
            None => held.add(participant, Arc::clone(&seat)),
            Some(refusal) => held.exchange(participant, Arc::clone(&seat), now).ok_or(refusal)?,
        }
        drop(held);
        if refusal.is_some() {
            self.metrics.gave_way.inc();
        } else {
            self.metrics.allocations.inc();
        }
        Ok(Place { quotas: Arc::clone(self), participant: participant.clone(), seat })
    }

    /// How many are held.
    pub(crate) fn all(&self) -> usize {
        self.held().all
    }

    /// Returns when none is held.
    pub(crate) async fn emptied(&self) {
        let mut told = pin!(self.empty.notified());
        loop {
            // Before the look: what is given back after it is told of.
            told.as_mut().enable();
            if self.all() == 0 {
                return;
            }
            told.as_mut().await;
            told.set(self.empty.notified());
        }
    }

    /// Who holds some, each once.
    pub(crate) fn participants(&self) -> Vec<Participant> {
        self.held().participants()
    }

    /// Counts change together, at once: a panic elsewhere leaves them right.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Whether a newer allocation has it.
    pub(crate) fn is_given_up(&self) -> bool {
        self.seat.is_given_up()
    }

    /// Where it is noted that its client is heard.
    pub(crate) fn seat(&self) -> Arc<Seat> {
        Arc::clone(&self.seat)
    }

    /// The client of its allocation was last heard then, since the relay's start.
    pub(crate) fn hear(&self, then: Duration) {
        self.seat.hear(then);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.quotas.held();
        // Whoever has it now gives it back.
        let Some(()) = held.remove(&self.participant, &self.seat) else { return };
        let is_empty = held.all == 0;
        drop(held);
        self.quotas.metrics.allocations.dec();
        if is_empty {
            self.quotas.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn participant(tenant: &str, session: &str, device: &str) -> Participant {
        let (tenant, session) = (tenant.parse().unwrap(), session.parse().unwrap());
        Participant { tenant, session, device: device.parse().unwrap() }
    }

    #[test]
    fn rel_3_each_quota_is_refused_by_its_own_code_until_a_place_is_free() {
        let quota = Quota { each_participant: 1, each_session: 2, each_tenant: 3, all: 4 };
        let quotas = Arc::new(Quotas::new(quota, Metrics::default()));
        let take = |tenant, session, device| {
            let share = RelayShare::default();
            quotas.take((&participant(tenant, session, device), share), Duration::ZERO)
        };
        let d1 = take("acme", "s1", "d1").unwrap();
        let _d2 = take("acme", "s1", "d2").unwrap();
        let refused = |result: Result<Place, Refusal>| result.err();
        assert_eq!(refused(take("acme", "s1", "d1")), Some(Refusal::QuotaReached), "of the participant");
        assert_eq!(refused(take("acme", "s1", "d3")), Some(Refusal::QuotaReached), "of the session");
        let _d3 = take("acme", "s2", "d3").unwrap();
        assert_eq!(refused(take("acme", "s3", "d4")), Some(Refusal::QuotaReached), "of the tenant");
        let _other = take("other", "s1", "d1").unwrap();
        assert_eq!(refused(take("other", "s1", "d2")), Some(Refusal::InsufficientCapacity), "of all");
        assert_eq!(quotas.participants().len(), 4);

        drop(d1);
        let _again = take("acme", "s1", "d1").unwrap();
        assert_eq!(quotas.all(), 4);
        assert_eq!(quotas.metrics.allocations.get(), 4);
    }

    #[test]
    fn rel_3_a_tenant_has_no_more_than_its_share_and_no_more_than_the_host_gives() {
        let quotas = Quotas::new(Quota { each_tenant: 2, ..Quota::default() }, Metrics::default());
        let quotas = Arc::new(quotas);
        let take = |tenant, device, allocations| {
            let share = RelayShare { allocations: Some(allocations), ..RelayShare::default() };
            quotas.take((&participant(tenant, "s1", device), share), Duration::ZERO)
        };
        assert_eq!(take("acme", "d1", 0).err(), Some(Refusal::QuotaReached));
        let _d1 = take("acme", "d1", 1).unwrap();
        assert_eq!(take("acme", "d2", 1).err(), Some(Refusal::QuotaReached));
        let _d2 = take("acme", "d2", 9).unwrap();
        assert_eq!(take("acme", "d3", 9).err(), Some(Refusal::QuotaReached), "the host gives no more");
        take("globex", "d1", 1).unwrap();
    }

    #[test]
    fn who_holds_nothing_any_more_leaves_nothing() {
        let quotas = Arc::new(Quotas::new(Quota::default(), Metrics::default()));
        let share = RelayShare::default();
        drop(quotas.take((&participant("acme", "s1", "d1"), share), Duration::ZERO).unwrap());
        let held = quotas.held();
        assert!(held.is_empty());
        drop(held);
    }

    #[test]
    fn rel_3_whatever_is_full_a_silent_allocation_of_ones_own_gives_way() {
        let quota = Quota { each_participant: 2, each_session: 3, each_tenant: 3, all: 3 };
        let quotas = Arc::new(Quotas::new(quota, Metrics::default()));
        let take = |device, now| {
            let share = RelayShare::default();
            quotas.take((&participant("acme", "s1", device), share), Duration::from_secs(now))
        };
        let [first, second] = [0, 0].map(|now| take("d1", now).unwrap());
        let other = take("d2", 0).unwrap();
        first.hear(Duration::from_secs(20));
        assert_eq!(take("d1", 29).err(), Some(Refusal::QuotaReached));

        let third = take("d1", 30).unwrap();
        assert_eq!([&first, &second, &other].map(Place::is_given_up), [false, true, false]);
        assert_eq!(take("d1", 49).err(), Some(Refusal::QuotaReached));
        assert_eq!(take("d3", 300).err(), Some(Refusal::QuotaReached), "others' stay");
        let _again = take("d2", 300).unwrap();
        assert!(other.is_given_up(), "also where the session is full");

        drop((second, other));
        assert_eq!(
            (quotas.all(), quotas.metrics.allocations.get(), quotas.metrics.gave_way.get()),
            (3, 3, 2)
        );
        drop((first, third));
        assert_eq!((quotas.all(), quotas.participants().len()), (1, 1));
    }

    #[tokio::test]
    async fn rel_3_who_waits_for_the_last_to_go_is_told() {
        let quotas = Arc::new(Quotas::new(Quota::default(), Metrics::default()));
        quotas.emptied().await;
        let [first, last] = ["d1", "d2"].map(|device| {
            let share = RelayShare::default();
            quotas.take((&participant("acme", "s1", device), share), Duration::ZERO).unwrap()
        });
        let mut emptied = pin!(quotas.emptied());
        let mut is_told = async || {
            tokio::select! {
                biased;
                () = emptied.as_mut() => true,
                () = std::future::ready(()) => false,
            }
        };
        assert!(!is_told().await);
        drop(first);
        assert!(!is_told().await);
        drop(last);
        assert!(is_told().await);
    }
}

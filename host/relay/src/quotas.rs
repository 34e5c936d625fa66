//! How many allocations there are: of all, of each tenant, session and participant.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use switchhook_core::relay_token::RelayToken;
use switchhook_protocol::id::{DeviceId, SessionId, TenantId};

use crate::{metrics::Metrics, refusal::Refusal};

/// Whose an allocation is: tokens are renewed, the participant stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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
    /// Two: a client that changes networks allocates anew before the old allocation is over.
    pub each_participant: usize,
    /// By all participants of one session. A session of some dozens is a conference, one of more is
    /// somebody who hands tokens on.
    pub each_session: usize,
    /// In all sessions of one tenant.
    pub each_tenant: usize,
    /// On this relay host: each is a socket, and its buffers in the kernel.
    pub all: usize,
}

impl Default for Quota {
    fn default() -> Self {
        Self { each_participant: 2, each_session: 128, each_tenant: 10_000, all: 10_000 }
    }
}

#[derive(Debug)]
pub(crate) struct Quotas {
    quota: Quota,
    held: Mutex<Held>,
    metrics: Metrics,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    tenants: BTreeMap<TenantId, usize>,
    sessions: BTreeMap<(TenantId, SessionId), usize>,
    participants: BTreeMap<Participant, usize>,
}

/// A place for one allocation, until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    quotas: Arc<Quotas>,
    participant: Participant,
}

impl Quotas {
    pub(crate) const fn new(quota: Quota, metrics: Metrics) -> Self {
        let held = Held {
            all: 0,
            tenants: BTreeMap::new(),
            sessions: BTreeMap::new(),
            participants: BTreeMap::new(),
        };
        Self { quota, held: Mutex::new(held), metrics }
    }

    /// Gives a participant a place, if its own quota and those of its session and tenant leave one, and the
    /// relay has room.
    pub(crate) fn take(self: &Arc<Self>, participant: &Participant) -> Result<Place, Refusal> {
        let session = (participant.tenant.clone(), participant.session.clone());
        let mut held = self.held();
        let reached = of(&held.participants, participant) >= self.quota.each_participant
            || of(&held.sessions, &session) >= self.quota.each_session
            || of(&held.tenants, &participant.tenant) >= self.quota.each_tenant;
        if reached {
            return Err(Refusal::QuotaReached);
        }
        if held.all >= self.quota.all {
            return Err(Refusal::InsufficientCapacity);
        }
        held.all += 1;
        *held.tenants.entry(participant.tenant.clone()).or_default() += 1;
        *held.sessions.entry(session).or_default() += 1;
        *held.participants.entry(participant.clone()).or_default() += 1;
        drop(held);
        self.metrics.allocations.inc();
        Ok(Place { quotas: Arc::clone(self), participant: participant.clone() })
    }

    /// How many are held.
    pub(crate) fn all(&self) -> usize {
        self.held().all
    }

    /// Who holds some, each once.
    pub(crate) fn participants(&self) -> Vec<Participant> {
        self.held().participants.keys().cloned().collect()
    }

    /// Counts change together, at once: a panic elsewhere leaves them right.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Participant { tenant, session, .. } = &self.participant;
        let mut held = self.quotas.held();
        held.all = held.all.saturating_sub(1);
        give_back(&mut held.tenants, tenant.clone());
        give_back(&mut held.sessions, (tenant.clone(), session.clone()));
        give_back(&mut held.participants, self.participant.clone());
        drop(held);
        self.quotas.metrics.allocations.dec();
    }
}

fn of<K: Ord>(counts: &BTreeMap<K, usize>, key: &K) -> usize {
    counts.get(key).copied().unwrap_or_default()
}

fn give_back<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    let Entry::Occupied(mut count) = counts.entry(key) else { return };
    *count.get_mut() -= 1;
    if *count.get() == 0 {
        count.remove();
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
        let take = |tenant, session, device| quotas.take(&participant(tenant, session, device));
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
    fn who_holds_nothing_any_more_leaves_nothing() {
        let quotas = Arc::new(Quotas::new(Quota::default(), Metrics::default()));
        drop(quotas.take(&participant("acme", "s1", "d1")).unwrap());
        let held = quotas.held();
        assert!(held.tenants.is_empty() && held.sessions.is_empty() && held.participants.is_empty());
        drop(held);
    }
}

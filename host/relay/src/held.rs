//! Who holds how many allocations. What is counted changes together: a participant's, its session's, its tenant's, all.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
    time::Duration,
};

use switchhook_protocol::id::{SessionId, TenantId};

use crate::{
    quotas::{Participant, Quota},
    refusal::Refusal,
    silence::{Seat, gives_way},
};

#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) all: usize,
    tenants: BTreeMap<TenantId, usize>,
    sessions: BTreeMap<(TenantId, SessionId), usize>,
    participants: BTreeMap<Participant, Vec<Arc<Seat>>>,
}

impl Held {
    /// Why there is no place for another allocation.
    pub(crate) fn refusal(&self, participant: &Participant, quota: &Quota) -> Option<Refusal> {
        let session = (participant.tenant.clone(), participant.session.clone());
        let reached = self.participants.get(participant).map_or(0, Vec::len) >= quota.each_participant
            || of(&self.sessions, &session) >= quota.each_session
            || of(&self.tenants, &participant.tenant) >= quota.each_tenant;
        if reached {
            return Some(Refusal::QuotaReached);
        }
        (self.all >= quota.all).then_some(Refusal::InsufficientCapacity)
    }

    /// One more.
    pub(crate) fn add(&mut self, participant: &Participant, seat: Arc<Seat>) {
        let Participant { tenant, session, .. } = participant;
        self.all += 1;
        *self.tenants.entry(tenant.clone()).or_default() += 1;
        *self.sessions.entry((tenant.clone(), session.clone())).or_default() += 1;
        self.participants.entry(participant.clone()).or_default().push(seat);
    }

    /// One for another: that of the participant's own which gives way, if one does.
    pub(crate) fn exchange(
        &mut self,
        participant: &Participant,
        seat: Arc<Seat>,
        now: Duration,
    ) -> Option<()> {
        let seats = self.participants.get_mut(participant)?;
        let at = gives_way(seats.iter().map(|seat| seat.heard()), now)?;
        seats.swap_remove(at).give_up();
        seats.push(seat);
        Some(())
    }

    /// One less; nothing where another has its place, who will say so.
    pub(crate) fn remove(&mut self, participant: &Participant, seat: &Arc<Seat>) -> Option<()> {
        let seats = self.participants.get_mut(participant)?;
        let at = seats.iter().position(|held| Arc::ptr_eq(held, seat))?;
        seats.swap_remove(at);
        if seats.is_empty() {
            self.participants.remove(participant);
        }
        let Participant { tenant, session, .. } = participant;
        self.all = self.all.saturating_sub(1);
        give_back(&mut self.tenants, tenant.clone());
        give_back(&mut self.sessions, (tenant.clone(), session.clone()));
        Some(())
    }

    /// Who holds some, each once.
    pub(crate) fn participants(&self) -> Vec<Participant> {
        self.participants.keys().cloned().collect()
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.tenants.is_empty() && self.sessions.is_empty() && self.participants.is_empty()
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

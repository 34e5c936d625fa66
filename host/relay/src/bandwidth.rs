//! How much a session and a tenant may have relayed in a second.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use switchhook_core::{
    rate::{Bucket, Rate},
    relay_token::RelayShare,
};
use switchhook_protocol::id::{SessionId, TenantId};

use crate::{limits, quotas::Participant};

/// Bytes of payload relayed, both ways together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bandwidth {
    /// Of all participants of one session.
    pub each_session: Rate,
    /// Of all sessions of one tenant.
    pub each_tenant: Rate,
}

impl Default for Bandwidth {
    /// None.
    fn default() -> Self {
        Self { each_session: Rate::UNLIMITED, each_tenant: Rate::UNLIMITED }
    }
}

/// The buckets of those who hold allocations, and of those who have just held some: who gives one up and asks
/// for another goes on with the same bucket.
#[derive(Debug)]
pub(crate) struct Meters {
    bandwidth: Bandwidth,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    tenants: Buckets<TenantId>,
    sessions: Buckets<(TenantId, SessionId)>,
}

#[derive(Debug)]
struct Buckets<K> {
    held: BTreeMap<K, Arc<Bucket>>,
    /// How many there may be before those that say nothing any more are let go: twice those that were left then.
    roomy: usize,
}

/// What one allocation's traffic is counted by; nothing where there is no limit.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    session: Option<(Rate, Arc<Bucket>)>,
    tenant: Option<(Rate, Arc<Bucket>)>,
}

impl Meters {
    pub(crate) fn new(bandwidth: Bandwidth) -> Self {
        Self { bandwidth, shared: Mutex::default() }
    }

    /// The meter of a participant whose tenant has this share, at `now` since the relay's start.
    pub(crate) fn of(&self, (participant, share): (&Participant, RelayShare), now: Duration) -> Meter {
        let Participant { tenant, session, .. } = participant;
        let Bandwidth { each_session, each_tenant } = self.bandwidth;
        let each_tenant = lower(each_tenant, share);
        // Buckets are found or made at once: a panic elsewhere leaves them right.
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let session = limited(each_session)
            .map(|rate| (rate, shared.sessions.get((tenant.clone(), session.clone()), now)));
        let tenant = limited(each_tenant).map(|rate| (rate, shared.tenants.get(tenant.clone(), now)));
        Meter { session, tenant }
    }

    /// Whether there are no buckets.
    pub(crate) fn is_empty(&self) -> bool {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.tenants.held.is_empty() && shared.sessions.held.is_empty()
    }

    /// Lets go the buckets that say no more than new ones would, at `now` since the relay's start.
    pub(crate) fn sweep(&self, now: Duration) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.tenants.sweep(now);
        shared.sessions.sweep(now);
    }
}

impl Meter {
    /// Whether there is no limit.
    pub(crate) const fn is_open(&self) -> bool {
        self.session.is_none() && self.tenant.is_none()
    }

    /// How many bytes may ever pass at once.
    pub(crate) fn most(&self) -> u64 {
        let limits = self.session.iter().chain(&self.tenant);
        limits.map(|(rate, _)| rate.burst).min().unwrap_or(u64::MAX)
    }

    /// Whether so many bytes may pass, at `now` since the relay's start.
    pub(crate) fn lets_pass(&self, bytes: u64, now: Duration) -> bool {
        let takes = |(rate, bucket): &(Rate, Arc<Bucket>)| bucket.take(*rate, bytes, now);
        if !self.session.as_ref().is_none_or(takes) {
            return false;
        }
        let passes = self.tenant.as_ref().is_none_or(takes);
        // What the tenant has no room for is not the session's.
        if !passes && let Some((rate, bucket)) = &self.session {
            bucket.give_back(*rate, bytes);
        }
        passes
    }
}

/// A tenant's rate: the host's, or the tenant's share where that is less.
fn lower(hosts: Rate, share: RelayShare) -> Rate {
    let Some(own) = share.bytes_per_second else { return hosts };
    // Of nothing at all a rate would say that there is no limit.
    let own = own.max(1);
    if limited(hosts).is_some_and(|hosts| hosts.per_second <= own) {
        return hosts;
    }
    Rate { burst: own, per_second: own }
}

fn limited(rate: Rate) -> Option<Rate> {
    (rate.per_second > 0).then_some(rate)
}

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self { held: BTreeMap::new(), roomy: limits::BUCKETS }
    }
}

impl<K: Ord> Buckets<K> {
    fn get(&mut self, key: K, now: Duration) -> Arc<Bucket> {
        if self.held.len() >= self.roomy {
            self.sweep(now);
        }
        Arc::clone(self.held.entry(key).or_default())
    }

    /// What is full and nobody's says no more than a new one.
    fn sweep(&mut self, now: Duration) {
        self.held.retain(|_, bucket| Arc::strong_count(bucket) > 1 || !bucket.is_full(now));
        self.roomy = limits::BUCKETS.max(2 * self.held.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn participant(session: &str, device: &str) -> Participant {
        let tenant = "acme".parse().unwrap();
        Participant { tenant, session: session.parse().unwrap(), device: device.parse().unwrap() }
    }

    /// Of a tenant that has set nothing.
    fn meter(meters: &Meters, session: &str, device: &str, now: Duration) -> Meter {
        meters.of((&participant(session, device), RelayShare::default()), now)
    }

    #[test]
    fn rel_3_participants_of_a_session_share_its_bandwidth_and_sessions_their_tenants() {
        let rate = |burst| Rate { burst, per_second: 100 };
        let meters = Meters::new(Bandwidth { each_session: rate(100), each_tenant: rate(150) });
        let now = Duration::from_secs(1);
        let [alice, bob] = ["d1", "d2"].map(|device| meter(&meters, "s1", device, now));
        let other = meter(&meters, "s2", "d3", now);
        assert!(alice.lets_pass(60, now));
        assert!(!bob.lets_pass(60, now));
        assert!(bob.lets_pass(40, now));
        assert!(!other.lets_pass(60, now), "the tenant's is used up");
        assert!(other.lets_pass(60, now + Duration::from_secs(1)));
    }

    #[test]
    fn rel_3_a_tenants_rate_is_the_lower_of_its_share_and_the_hosts() {
        let rate = |per_second| Rate { burst: per_second, per_second };
        let share = |bytes_per_second| RelayShare { bytes_per_second, ..RelayShare::default() };
        assert_eq!(lower(rate(100), share(None)), rate(100));
        assert_eq!(lower(rate(100), share(Some(7))), rate(7));
        assert_eq!(lower(rate(100), share(Some(700))), rate(100));
        assert_eq!(lower(Rate::UNLIMITED, share(Some(700))), rate(700));
        assert_eq!(lower(Rate::UNLIMITED, share(None)), Rate::UNLIMITED);
        assert_eq!(lower(Rate::UNLIMITED, share(Some(0))), rate(1), "next to nothing, not everything");
    }

    #[test]
    fn rel_3_what_the_tenant_has_no_room_for_is_not_taken_from_the_session() {
        let rate = |burst| Rate { burst, per_second: 10 };
        let meters = Meters::new(Bandwidth { each_session: rate(100), each_tenant: rate(100) });
        let now = Duration::from_secs(1);
        let [first, second] = ["s1", "s2"].map(|session| meter(&meters, session, "d1", now));
        assert!(first.lets_pass(100, now));
        assert!((0..9).all(|_| !second.lets_pass(100, now)));
        assert!(
            second.lets_pass(100, now + Duration::from_secs(10)),
            "the tenant's is full again, and its own"
        );
        assert!(!second.lets_pass(1, now + Duration::from_secs(10)));
    }

    #[test]
    fn rel_3_who_allocates_again_goes_on_with_the_same_bucket() {
        let each_session = Rate { burst: 100, per_second: 100 };
        let meters = Meters::new(Bandwidth { each_session, ..Bandwidth::default() });
        let used_up = |now| {
            let meter = meter(&meters, "s1", "d1", now);
            !meter.lets_pass(100, now)
        };
        assert!(!used_up(Duration::ZERO));
        assert!(used_up(Duration::from_millis(999)));
        assert!(!used_up(Duration::from_secs(1)));
    }

    #[test]
    fn buckets_that_nobody_needs_any_more_are_let_go() {
        let each_session = Rate { burst: 100, per_second: 100 };
        let meters = Meters::new(Bandwidth { each_session, ..Bandwidth::default() });
        let held = meter(&meters, "held", "d1", Duration::ZERO);
        for number in 0..10 * limits::BUCKETS {
            let now = Duration::from_secs(u64::try_from(number).unwrap());
            assert!(meter(&meters, &format!("s{number}"), "d1", now).lets_pass(100, now));
        }
        assert!(meters.shared.lock().unwrap().sessions.held.len() <= 1 + limits::BUCKETS);
        assert!(held.lets_pass(100, Duration::ZERO));
        assert!(!meter(&meters, "held", "d2", Duration::ZERO).lets_pass(1, Duration::ZERO), "kept");
    }

    #[test]
    fn rel_3_when_everybody_is_gone_and_every_bucket_full_none_is_left() {
        let rate = Rate { burst: 100, per_second: 100 };
        let meters = Meters::new(Bandwidth { each_session: rate, each_tenant: rate });
        for number in 0..10 {
            let meter = meter(&meters, &format!("s{number}"), "d1", Duration::ZERO);
            assert!(meter.lets_pass(10, Duration::ZERO));
        }
        meters.sweep(Duration::ZERO);
        assert!(!meters.is_empty(), "what was used counts on");
        meters.sweep(Duration::from_secs(1));
        assert!(meters.is_empty());
    }
}

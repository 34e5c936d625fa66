//! How much a session and a tenant may have relayed in a second.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use switchhook_core::rate::{Bucket, Rate};
use switchhook_protocol::id::{SessionId, TenantId};

use crate::quotas::Participant;

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

/// The buckets of those who hold allocations.
#[derive(Debug)]
pub(crate) struct Meters {
    bandwidth: Bandwidth,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    tenants: BTreeMap<TenantId, Weak<Bucket>>,
    sessions: BTreeMap<(TenantId, SessionId), Weak<Bucket>>,
}

/// What one allocation's traffic is counted by; nothing where there is no limit.
#[derive(Debug)]
pub(crate) struct Meter {
    session: Option<(Rate, Arc<Bucket>)>,
    tenant: Option<(Rate, Arc<Bucket>)>,
}

impl Meters {
    pub(crate) fn new(bandwidth: Bandwidth) -> Self {
        Self { bandwidth, shared: Mutex::default() }
    }

    pub(crate) fn of(&self, participant: &Participant) -> Meter {
        let Participant { tenant, session, .. } = participant;
        let Bandwidth { each_session, each_tenant } = self.bandwidth;
        // Buckets are found or made at once: a panic elsewhere leaves them right.
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let session = limited(each_session)
            .map(|rate| (rate, bucket(&mut shared.sessions, (tenant.clone(), session.clone()))));
        let tenant = limited(each_tenant).map(|rate| (rate, bucket(&mut shared.tenants, tenant.clone())));
        Meter { session, tenant }
    }
}

impl Meter {
    /// Whether there is no limit.
    pub(crate) const fn is_open(&self) -> bool {
        self.session.is_none() && self.tenant.is_none()
    }

    /// Whether so many bytes may pass, at `now` since the relay's start.
    pub(crate) fn lets_pass(&self, bytes: u64, now: Duration) -> bool {
        [&self.session, &self.tenant]
            .into_iter()
            .flatten()
            .all(|(rate, bucket)| bucket.take(*rate, bytes, now))
    }
}

fn limited(rate: Rate) -> Option<Rate> {
    (rate.per_second > 0).then_some(rate)
}

fn bucket<K: Ord>(buckets: &mut BTreeMap<K, Weak<Bucket>>, key: K) -> Arc<Bucket> {
    if let Some(held) = buckets.get(&key).and_then(Weak::upgrade) {
        return held;
    }
    // Those whom nobody holds any more go with the next that is made.
    buckets.retain(|_, bucket| bucket.strong_count() > 0);
    let made = Arc::new(Bucket::default());
    buckets.insert(key, Arc::downgrade(&made));
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn participant(session: &str, device: &str) -> Participant {
        let tenant = "acme".parse().unwrap();
        Participant { tenant, session: session.parse().unwrap(), device: device.parse().unwrap() }
    }

    #[test]
    fn rel_3_participants_of_a_session_share_its_bandwidth_and_sessions_their_tenants() {
        let rate = |burst| Rate { burst, per_second: 100 };
        let meters = Meters::new(Bandwidth { each_session: rate(100), each_tenant: rate(150) });
        let [alice, bob] = ["d1", "d2"].map(|device| meters.of(&participant("s1", device)));
        let other = meters.of(&participant("s2", "d3"));
        let now = Duration::from_secs(1);
        assert!(alice.lets_pass(60, now));
        assert!(!bob.lets_pass(60, now));
        assert!(bob.lets_pass(40, now));
        assert!(!other.lets_pass(60, now), "the tenant's is used up");
        assert!(other.lets_pass(60, now + Duration::from_secs(1)));
        drop((alice, bob, other));
        let _next = meters.of(&participant("s3", "d1"));
        assert_eq!(meters.shared.lock().unwrap().sessions.len(), 1);
    }
}

//! Invites that were refused lately, for "why did it not ring?": bounded, in memory, by tenant.
//!
//! A refusal leaves no row: whoever is refused may ask again as often as they like, and would write as often. So each
//! node knows what it refused itself, and the last of each tenant alone: a flood of one tenant's costs no other's. Whoever
//! wants to know of all asks the others ([`everywhere`]).

pub(crate) mod everywhere;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::{ErrorBody, ErrorCode},
    id::{DeviceId, TenantId},
    invitation::Invite,
    time::Timestamp,
};

use crate::limits;

/// An invite that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RefusedInvite {
    /// When.
    pub(crate) at: Timestamp,
    /// Which device invited.
    pub(crate) device: DeviceId,
    /// As whom: perhaps not its own identifier, which is why it was refused.
    pub(crate) from: EndpointId,
    /// Whom, the first of them.
    pub(crate) invited: Vec<EndpointId>,
    /// What it was told.
    pub(crate) code: ErrorCode,
    /// In a sentence: the router's word, if it has one.
    pub(crate) message: String,
}

impl RefusedInvite {
    pub(crate) fn of(device: &DeviceId, invite: &Invite, refused: &ErrorBody, now: Timestamp) -> Self {
        Self {
            at: now,
            device: device.clone(),
            from: invite.from.clone(),
            invited: invite.invited.iter().take(limits::REFUSED_INVITED).cloned().collect(),
            code: refused.code,
            message: switchhook_core::row::brief(&refused.message),
        }
    }

    fn is_about(&self, endpoint: &EndpointId) -> bool {
        self.from == *endpoint || self.invited.contains(endpoint)
    }
}

/// The last refused invites.
#[derive(Default)]
pub(crate) struct RefusedInvites(Mutex<Known>);

/// Those of each tenant, the oldest first.
#[derive(Default)]
struct Known(BTreeMap<TenantId, VecDeque<RefusedInvite>>);

impl RefusedInvites {
    pub(crate) fn note(&self, tenant: &TenantId, refused: RefusedInvite) {
        self.lock().keep(tenant, refused);
    }

    /// A tenant's of the last day that an identifier made or that were for it, the newest first.
    pub(crate) fn about(
        &self,
        tenant: &TenantId,
        endpoint: &EndpointId,
        now: Timestamp,
    ) -> Vec<RefusedInvite> {
        self.lock().about(tenant, endpoint, now)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn keep(&mut self, tenant: &TenantId, refused: RefusedInvite) {
        let is_full = self.count() >= limits::REFUSED_INVITES;
        let own = self.0.entry(tenant.clone()).or_default();
        if own.len() >= limits::REFUSED_INVITES_OF_TENANT {
            own.pop_front();
        } else if is_full && let Some(most) = self.0.values_mut().max_by_key(|own| own.len()) {
            most.pop_front();
        }
        self.0.entry(tenant.clone()).or_default().push_back(refused);
    }

    fn about(&self, tenant: &TenantId, endpoint: &EndpointId, now: Timestamp) -> Vec<RefusedInvite> {
        let own = self.0.get(tenant).into_iter().flatten().rev();
        let lately = |refused: &&RefusedInvite| refused.at.until(now) < limits::REFUSED_KEPT;
        own.filter(lately).filter(|refused| refused.is_about(endpoint)).cloned().collect()
    }

    fn count(&self) -> usize {
        self.0.values().map(VecDeque::len).sum()
    }
}

impl fmt::Debug for RefusedInvites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefusedInvites").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn refused(number: usize, to: &str) -> RefusedInvite {
        RefusedInvite {
            at: NOW.after(Duration::from_millis(u64::try_from(number).unwrap())),
            device: "phone".parse().unwrap(),
            from: "alice".parse().unwrap(),
            invited: vec![to.parse().unwrap()],
            code: ErrorCode::RateLimited,
            message: String::new(),
        }
    }

    fn tenant(name: &str) -> TenantId {
        name.parse().unwrap()
    }

    #[test]
    fn a_tenant_has_its_last_ones_and_no_other_sees_or_loses_any() {
        let all = RefusedInvites::default();
        all.note(&tenant("quiet"), refused(0, "bob"));
        for number in 0..=limits::REFUSED_INVITES_OF_TENANT {
            all.note(&tenant("loud"), refused(number, "bob"));
        }
        let about = |name: &str, who: &str| all.about(&tenant(name), &who.parse().unwrap(), NOW);
        let loud = about("loud", "bob");
        assert_eq!(loud.len(), limits::REFUSED_INVITES_OF_TENANT);
        assert_eq!(
            loud.first(),
            Some(&refused(limits::REFUSED_INVITES_OF_TENANT, "bob")),
            "the newest first"
        );
        assert_eq!(about("quiet", "bob"), [refused(0, "bob")]);
        assert_eq!(about("quiet", "alice"), [refused(0, "bob")], "who invited finds it too");
        assert_eq!(about("quiet", "carol"), []);
        assert_eq!(about("nobody", "bob"), []);
        let tomorrow = NOW.after(limits::REFUSED_KEPT);
        assert_eq!(all.about(&tenant("quiet"), &"bob".parse().unwrap(), tomorrow), []);
    }

    #[test]
    fn over_all_tenants_they_are_bounded_and_those_of_the_loudest_go() {
        let all = RefusedInvites::default();
        all.note(&tenant("quiet"), refused(0, "bob"));
        let loud = limits::REFUSED_INVITES / limits::REFUSED_INVITES_OF_TENANT + 2;
        for number in 0..loud * limits::REFUSED_INVITES_OF_TENANT {
            let name = format!("loud-{}", number % loud);
            all.note(&tenant(&name), refused(number, "bob"));
        }
        assert_eq!(all.lock().count(), limits::REFUSED_INVITES);
        assert_eq!(all.about(&tenant("quiet"), &"bob".parse().unwrap(), NOW), [refused(0, "bob")]);
    }

    #[test]
    fn where_all_have_their_most_one_more_of_a_tenant_costs_it_its_own_oldest_alone() {
        let all = RefusedInvites::default();
        let tenants = limits::REFUSED_INVITES / limits::REFUSED_INVITES_OF_TENANT;
        let name = |number: usize| tenant(&format!("loud-{number}"));
        for number in 0..limits::REFUSED_INVITES {
            all.note(&name(number % tenants), refused(number, "bob"));
        }
        all.note(&name(0), refused(limits::REFUSED_INVITES, "bob"));
        let bob = "bob".parse().unwrap();
        for number in 0..tenants {
            let kept = all.about(&name(number), &bob, NOW).len();
            assert_eq!(kept, limits::REFUSED_INVITES_OF_TENANT, "{number}");
        }
    }
}

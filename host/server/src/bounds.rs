//! How much each tenant's devices may do, at hand for every request. The rows are the truth; whoever changes or
//! loads them tells this table. What was done is counted here, by this node.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use switchhook_core::{limits::Limits, subscriber::Subscriber, tenant::TenantSettings};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{ApplicationId, DeviceId, TenantId},
    time::Timestamp,
};

use crate::rates::{Bucket, Rate, Rates};

/// The bounds of all tenants.
#[derive(Debug)]
pub(crate) struct Bounds {
    /// The operator's.
    most: Limits,
    tenants: RwLock<BTreeMap<TenantId, Arc<OfTenant>>>,
    turn: tokio::sync::Mutex<()>,
    invites_of_device: Rates,
    invites_of_identifier: Rates,
    invites_of_pair: Rates,
    updates_of_device: Rates,
    requests_of_application: Rates,
    enrolments_of_address: Rates,
}

/// What counts for one tenant.
#[derive(Debug)]
pub(crate) struct OfTenant {
    /// As it was set.
    pub(crate) settings: TenantSettings,
    /// What counts of it.
    pub(crate) limits: Limits,
    /// The bucket of its invites: of its own, as no tenant is to pay for another.
    invites: Mutex<Bucket>,
    /// The bucket of its applications' requests.
    requests: Mutex<Bucket>,
    /// The bucket of its enrolments.
    enrolments: Mutex<Bucket>,
}

impl Bounds {
    /// Below the operator's.
    pub(crate) fn new(most: Limits) -> Self {
        Self {
            most,
            tenants: RwLock::default(),
            turn: tokio::sync::Mutex::default(),
            invites_of_device: Rates::new(),
            invites_of_identifier: Rates::new(),
            invites_of_pair: Rates::new(),
            updates_of_device: Rates::new(),
            requests_of_application: Rates::new(),
            enrolments_of_address: Rates::new(),
        }
    }

    /// The operator's.
    pub(crate) const fn most(&self) -> &Limits {
        &self.most
    }

    /// Who changes or reads rows does it in turn: what was read before a change never replaces it.
    pub(crate) async fn turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// What counts for a tenant.
    pub(crate) fn of(&self, tenant: &TenantId) -> Arc<OfTenant> {
        let known = self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned();
        known.unwrap_or_else(|| Arc::new(self.with(TenantSettings::default())))
    }

    /// Replaces what a tenant has set; what it has done is forgotten if that is a change.
    pub(crate) fn put(&self, tenant: &TenantId, settings: TenantSettings) {
        if self.of(tenant).settings == settings && self.knows(tenant) {
            return;
        }
        let of_tenant = Arc::new(self.with(settings));
        self.tenants.write().unwrap_or_else(PoisonError::into_inner).insert(tenant.clone(), of_tenant);
    }

    /// Counts an invite of a device from one identifier to others; an error says how long to wait.
    pub(crate) fn invite(
        &self,
        (tenant, device): (&TenantId, &DeviceId),
        (from, to): (&EndpointId, &[EndpointId]),
        now: Timestamp,
    ) -> Result<(), Duration> {
        let of_tenant = self.of(tenant);
        let limits = of_tenant.limits;
        // What one device does too much of is not taken from what all of its tenant share, and what a tenant does too
        // much of not from the pairs, whose table all tenants share.
        let rate = Rate::per_minute;
        self.invites_of_device.take(rate(limits.invites_of_device), (tenant, device), now)?;
        self.invites_of_identifier.take(rate(limits.invites_of_identifier), (tenant, from), now)?;
        let invites = || of_tenant.invites.lock().unwrap_or_else(PoisonError::into_inner);
        invites().take(rate(limits.invites_of_tenant), now)?;
        for to in to {
            self.invites_of_pair.take(rate(limits.invites_of_pair), (tenant, from, to), now)?;
        }
        Ok(())
    }

    /// Counts a `session-update` of a device.
    pub(crate) fn update(
        &self,
        tenant: &TenantId,
        device: &DeviceId,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let rate = Rate::per_minute(self.of(tenant).limits.updates_of_device);
        self.updates_of_device.take(rate, (tenant, device), now)
    }

    /// Counts a request for an application; an error says how long to wait.
    pub(crate) fn request(
        &self,
        tenant: &TenantId,
        application: &ApplicationId,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let of_tenant = self.of(tenant);
        let limits = of_tenant.limits;
        let rate = Rate::per_minute(limits.requests_of_application);
        self.requests_of_application.take(rate, (tenant, application), now)?;
        let mut requests = of_tenant.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.take(Rate::per_minute(limits.requests_of_applications), now)
    }

    /// Counts an enrolment; an error says how long to wait. One address takes nothing from others beyond its own.
    pub(crate) fn enrolment(
        &self,
        tenant: &TenantId,
        from: Subscriber,
        now: Timestamp,
    ) -> Result<(), Duration> {
        let of_tenant = self.of(tenant);
        let limits = of_tenant.limits;
        let rate = Rate::per_minute(limits.enrolments_of_address);
        self.enrolments_of_address.take(rate, (tenant, from), now)?;
        let mut enrolments = of_tenant.enrolments.lock().unwrap_or_else(PoisonError::into_inner);
        enrolments.take(Rate::per_minute(limits.enrolments_of_tenant), now)
    }

    /// Whether its settings were read.
    pub(crate) fn knows(&self, tenant: &TenantId) -> bool {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).contains_key(tenant)
    }

    fn with(&self, settings: TenantSettings) -> OfTenant {
        let limits = settings.limits.below(&self.most);
        OfTenant {
            limits,
            settings,
            invites: Mutex::default(),
            requests: Mutex::default(),
            enrolments: Mutex::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use switchhook_core::limits::OwnLimits;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    struct Calls {
        bounds: Bounds,
    }

    /// Each of the bounds is two, but for those that a test is not about.
    fn calls(own: OwnLimits) -> Calls {
        let bounds = Bounds::new(Limits::default());
        let settings = TenantSettings { limits: own, ..TenantSettings::default() };
        bounds.put(&"acme".parse().unwrap(), settings);
        Calls { bounds }
    }

    impl Calls {
        fn invite(&self, tenant: &str, device: &str, from: &str, to: &str) -> bool {
            let (tenant, device) = (tenant.parse().unwrap(), device.parse().unwrap());
            let (from, to) = (from.parse().unwrap(), [to.parse().unwrap()]);
            self.bounds.invite((&tenant, &device), (&from, &to), NOW).is_ok()
        }
    }

    #[test]
    fn a_device_that_invites_too_often_waits_and_others_do_not() {
        let calls = calls(OwnLimits { invites_of_device: Some(1), ..OwnLimits::default() });
        assert!(calls.invite("acme", "phone", "alice", "bob"));
        assert!(!calls.invite("acme", "phone", "alice", "carol"));
        assert!(calls.invite("acme", "tablet", "alice", "carol"));
        assert!(calls.invite("other", "phone", "alice", "carol"));
    }

    #[test]
    fn an_identifier_has_one_bound_over_all_its_devices_and_one_for_each_that_it_rings() {
        let calls = calls(OwnLimits {
            invites_of_identifier: Some(2),
            invites_of_pair: Some(1),
            ..OwnLimits::default()
        });
        assert!(calls.invite("acme", "phone", "alice", "bob"));
        assert!(calls.invite("acme", "phone", "carol", "bob"), "who is rung by one can be rung by another");
        assert!(!calls.invite("acme", "tablet", "alice", "bob"));
        assert!(!calls.invite("acme", "tablet", "alice", "carol"), "the refused one counts as well");
    }

    #[test]
    fn a_tenants_flood_costs_that_tenant_alone_and_not_what_a_device_was_refused() {
        let calls = calls(OwnLimits {
            invites_of_tenant: Some(2),
            invites_of_device: Some(1),
            ..OwnLimits::default()
        });
        assert!(calls.invite("acme", "phone", "alice", "bob"));
        assert!(!calls.invite("acme", "phone", "alice", "bob"));
        assert!(calls.invite("acme", "tablet", "alice", "bob"), "the refusal took nothing from the tenant");
        assert!(!calls.invite("acme", "laptop", "alice", "bob"));
        assert!(calls.invite("other", "laptop", "alice", "bob"));
    }

    #[test]
    fn settings_that_are_read_again_forget_nothing() {
        let calls = calls(OwnLimits { invites_of_tenant: Some(1), ..OwnLimits::default() });
        assert!(calls.invite("acme", "phone", "alice", "bob"));
        let own = OwnLimits { invites_of_tenant: Some(1), ..OwnLimits::default() };
        calls
            .bounds
            .put(&"acme".parse().unwrap(), TenantSettings { limits: own, ..TenantSettings::default() });
        assert!(!calls.invite("acme", "phone", "alice", "bob"));
    }

    #[test]
    fn reg_12_an_application_that_asks_too_often_waits_and_others_do_not_until_all_do() {
        let own = OwnLimits {
            requests_of_application: Some(1),
            requests_of_applications: Some(2),
            ..OwnLimits::default()
        };
        let bounds = calls(own).bounds;
        let request = |tenant: &str, application: &str| {
            bounds.request(&tenant.parse().unwrap(), &application.parse().unwrap(), NOW)
        };
        assert_eq!(request("acme", "crm"), Ok(()));
        assert_eq!(request("acme", "crm"), Err(Duration::from_mins(1)));
        assert_eq!(request("acme", "shop"), Ok(()), "the refusal took nothing from the tenant");
        assert_eq!(request("acme", "game"), Err(Duration::from_secs(30)));
        assert_eq!(request("other", "crm"), Ok(()));
    }

    #[test]
    fn reg_1_an_address_that_enrols_too_many_devices_waits_and_others_do_not_until_all_do() {
        let own = OwnLimits {
            enrolments_of_address: Some(1),
            enrolments_of_tenant: Some(2),
            ..OwnLimits::default()
        };
        let bounds = calls(own).bounds;
        let enrolment = |tenant: &str, from: &str| {
            let from: std::net::IpAddr = from.parse().unwrap();
            bounds.enrolment(&tenant.parse().unwrap(), from.into(), NOW)
        };
        assert_eq!(enrolment("acme", "192.0.2.1"), Ok(()));
        assert_eq!(enrolment("acme", "192.0.2.1"), Err(Duration::from_mins(1)));
        assert_eq!(enrolment("acme", "192.0.2.2"), Ok(()), "the refusal took nothing from the tenant");
        assert_eq!(enrolment("acme", "192.0.2.3"), Err(Duration::from_secs(30)));
        assert_eq!(enrolment("other", "192.0.2.1"), Ok(()));
    }
}

//! Key rings, derived once for each scope.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{PoisonError, RwLock},
};

use switchhook_core::seal::{KeyRing, RootKeys, Scope};
use switchhook_protocol::id::{RelayHostId, TenantId};

/// The installation's keys.
pub(crate) struct Keys {
    roots: RootKeys,
    tenants: RwLock<BTreeMap<TenantId, KeyRing>>,
    cdx: KeyRing,
}

impl Keys {
    pub(crate) fn new(roots: RootKeys) -> Self {
        let cdx = roots.ring(Scope::Cdx);
        Self { roots, tenants: RwLock::default(), cdx }
    }

    /// A tenant's ring. Only tenants that exist are asked for, so that the map stays theirs.
    pub(crate) fn of(&self, tenant: &TenantId) -> KeyRing {
        let known = self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned();
        known.unwrap_or_else(|| {
            let ring = self.roots.ring(Scope::Tenant(tenant));
            let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
            tenants.insert(tenant.clone(), ring.clone());
            ring
        })
    }

    pub(crate) const fn cdx(&self) -> &KeyRing {
        &self.cdx
    }

    pub(crate) fn relay(&self, host: &RelayHostId) -> KeyRing {
        self.roots.ring(Scope::Relay(host))
    }

    pub(crate) fn host(&self) -> KeyRing {
        self.roots.ring(Scope::Host)
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

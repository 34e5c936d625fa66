//! Places for uploads of plugins: so many over all tenants, and fewer for one.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use switchhook_protocol::id::TenantId;

use crate::limits;

/// The uploads that go on.
#[derive(Debug, Default)]
pub(crate) struct Uploads(Mutex<BTreeMap<TenantId, usize>>);

/// One of them; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    uploads: &'a Uploads,
    tenant: &'a TenantId,
}

impl Uploads {
    /// A place, unless this tenant or all of them have as many as they may.
    pub(crate) fn place<'a>(&'a self, tenant: &'a TenantId) -> Option<Place<'a>> {
        let mut going_on = self.going_on();
        let all: usize = going_on.values().sum();
        let own = going_on.get(tenant).copied().unwrap_or(0);
        if all >= limits::UPLOADS || own >= limits::UPLOADS_OF_TENANT {
            return None;
        }
        going_on.insert(tenant.clone(), own + 1);
        drop(going_on);
        Some(Place { uploads: self, tenant })
    }

    fn going_on(&self) -> MutexGuard<'_, BTreeMap<TenantId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut going_on = self.uploads.going_on();
        if let Some(own) = going_on.get_mut(self.tenant) {
            *own -= 1;
        }
        going_on.retain(|_, own| *own > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_takes_its_own_places_and_leaves_its_neighbours_theirs() {
        let uploads = Uploads::default();
        let (acme, other): (TenantId, TenantId) = ("acme".parse().unwrap(), "other".parse().unwrap());
        let mut held: Vec<_> =
            (0..limits::UPLOADS_OF_TENANT).map(|_| uploads.place(&acme).unwrap()).collect();
        assert!(uploads.place(&acme).is_none());
        assert!(uploads.place(&other).is_some());
        held.pop();
        assert!(uploads.place(&acme).is_some(), "a place was given back");
    }

    #[test]
    fn all_tenants_together_have_so_many() {
        let uploads = Uploads::default();
        let tenants: Vec<TenantId> =
            (0..=limits::UPLOADS).map(|number| format!("t-{number}").parse().unwrap()).collect();
        let held: Vec<_> = tenants.iter().map_while(|tenant| uploads.place(tenant)).collect();
        assert_eq!(held.len(), limits::UPLOADS);
    }
}

//! Places for what is costly while it goes on: so many over all tenants, and fewer for one. Who comes when none is
//! free is refused at once, which costs little, instead of waiting behind the others.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use switchhook_protocol::id::TenantId;

/// The places of one kind.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    most_of_tenant: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of_tenants: BTreeMap<TenantId, usize>,
}

/// One of them; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    places: &'a Places,
    tenant: &'a TenantId,
}

impl Places {
    /// So many, and so many for one tenant.
    pub(crate) fn new(most: usize, most_of_tenant: usize) -> Self {
        Self { most, most_of_tenant, taken: Mutex::default() }
    }

    /// A place, unless this tenant or all of them have as many as they may.
    pub(crate) fn take<'a>(&'a self, tenant: &'a TenantId) -> Option<Place<'a>> {
        let mut taken = self.taken();
        let own = taken.of_tenants.get(tenant).copied().unwrap_or(0);
        if taken.all >= self.most || own >= self.most_of_tenant {
            return None;
        }
        taken.all += 1;
        taken.of_tenants.insert(tenant.clone(), own + 1);
        drop(taken);
        Some(Place { places: self, tenant })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        match taken.of_tenants.get_mut(self.tenant) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.of_tenants.remove(self.tenant)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_takes_its_own_places_and_leaves_its_neighbours_theirs() {
        let places = Places::new(8, 2);
        let (acme, other): (TenantId, TenantId) = ("acme".parse().unwrap(), "other".parse().unwrap());
        let mut held: Vec<_> = (0..2).map(|_| places.take(&acme).unwrap()).collect();
        assert!(places.take(&acme).is_none());
        assert!(places.take(&other).is_some());
        held.pop();
        assert!(places.take(&acme).is_some(), "a place was given back");
    }

    #[test]
    fn all_tenants_together_have_so_many() {
        let places = Places::new(8, 2);
        let tenants: Vec<TenantId> = (0..9).map(|number| format!("t-{number}").parse().unwrap()).collect();
        let held: Vec<_> = tenants.iter().map_while(|tenant| places.take(tenant)).collect();
        assert_eq!(held.len(), 8);
        drop(held);
        assert!(places.taken().of_tenants.is_empty(), "nothing is kept of who went");
    }
}

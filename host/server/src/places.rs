//! Places for what is costly while it goes on: so many for each holder, here.
//!
//! Whoever takes a place holds it until the end of what it is for. Who comes when none is free is refused at once,
//! which costs little, instead of waiting behind the others.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use switchhook_protocol::id::TenantId;

/// The places that are taken. There are no more entries than places.
#[derive(Debug)]
pub(crate) struct Places<H>(Mutex<HashMap<H, u32>>);

/// A place; dropped, it is free.
#[derive(Debug)]
pub(crate) struct Place<H: Eq + Hash> {
    places: Arc<Places<H>>,
    holder: H,
}

/// Places that tenants share: so many for all of them, and fewer for one.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Of no tenant are those of all together.
    places: Arc<Places<Option<TenantId>>>,
    all: u32,
    of_tenant: u32,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Share {
    _all: Place<Option<TenantId>>,
    _own: Place<Option<TenantId>>,
}

impl<H: Clone + Eq + Hash> Places<H> {
    /// Takes a place, if its holder has not the most already.
    pub(crate) fn take(self: &Arc<Self>, holder: H, most: u32) -> Option<Place<H>> {
        let mut taken = self.lock();
        let count = taken.get(&holder).copied().unwrap_or_default();
        if count >= most {
            return None;
        }
        taken.insert(holder.clone(), count + 1);
        drop(taken);
        Some(Place { places: Arc::clone(self), holder })
    }
}

impl<H> Places<H> {
    fn lock(&self) -> MutexGuard<'_, HashMap<H, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H> Default for Places<H> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<H: Eq + Hash> Drop for Place<H> {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        if let Some(count) = taken.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.holder);
            }
        }
    }
}

impl Shared {
    /// So many for all, and so many for one tenant.
    pub(crate) fn new(all: u32, of_tenant: u32) -> Self {
        Self { places: Arc::default(), all, of_tenant }
    }

    /// A place, unless this tenant or all of them have as many as they may.
    pub(crate) fn take(&self, tenant: &TenantId) -> Option<Share> {
        let own = self.places.take(Some(tenant.clone()), self.of_tenant)?;
        let all = self.places.take(None, self.all)?;
        Some(Share { _all: all, _own: own })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_dropped_and_nothing_is_left_of_it() {
        let places = Arc::new(Places::default());
        let held = [places.take("acme", 2), places.take("acme", 2)];
        assert!(held.iter().all(Option::is_some));
        assert!(places.take("acme", 2).is_none());
        assert!(places.take("other", 2).is_some());

        drop(held);

        assert!(places.lock().is_empty());
    }

    #[test]
    fn a_tenant_takes_its_own_places_and_leaves_its_neighbours_theirs() {
        let shared = Shared::new(8, 2);
        let mut held: Vec<_> = (0..2).map(|_| shared.take(&tenant("acme")).unwrap()).collect();
        assert!(shared.take(&tenant("acme")).is_none());
        assert!(shared.take(&tenant("other")).is_some());
        held.pop();
        assert!(shared.take(&tenant("acme")).is_some(), "a place was given back");
    }

    #[test]
    fn all_tenants_together_have_so_many() {
        let shared = Shared::new(8, 2);
        let held: Vec<_> = (0..9).map_while(|number| shared.take(&tenant(&format!("t-{number}")))).collect();
        assert_eq!(held.len(), 8);
        drop(held);
        assert!(shared.places.lock().is_empty(), "nothing is kept of who went");
    }

    fn tenant(name: &str) -> TenantId {
        name.parse().unwrap()
    }
}

//! Places for connections: how many there are of each address and each tenant, here.
//!
//! Whoever takes a place holds it until the end of what it is for. An address is that of one
//! subscriber: an IPv4 address, or the 64 bits of an IPv6 one that a provider gives out as one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use switchhook_core::subscriber::Subscriber;
use switchhook_protocol::id::TenantId;

/// Who holds places, and for what.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// Connections of an address that are no WebSocket, or not yet.
    Connections(Subscriber),
    /// TLS handshakes of an address that are not finished.
    Handshakes(Subscriber),
    /// Sockets of an address that have not said who they are.
    Strangers(Subscriber),
    /// Sockets of an address.
    Sockets(Subscriber),
    /// Sockets of a tenant.
    Tenant(TenantId),
}

/// The places that are taken. There are no more entries than places.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<HashMap<Holder, u32>>);

/// A place; dropped, it is free.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    holder: Holder,
}

impl Places {
    /// Takes a place, if its holder has not the most already.
    pub(crate) fn take(self: &Arc<Self>, holder: Holder, most: u32) -> Option<Place> {
        let mut taken = self.lock();
        let count = taken.get(&holder).copied().unwrap_or_default();
        if count >= most {
            return None;
        }
        taken.insert(holder.clone(), count + 1);
        drop(taken);
        Some(Place { places: Arc::clone(self), holder })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Holder, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_dropped_and_nothing_is_left_of_it() {
        let places = Arc::new(Places::default());
        let one = || Holder::Tenant("acme".parse().unwrap());
        let held = [places.take(one(), 2), places.take(one(), 2)];
        assert!(held.iter().all(Option::is_some));
        assert!(places.take(one(), 2).is_none());
        assert!(places.take(Holder::Tenant("other".parse().unwrap()), 2).is_some());

        drop(held);

        assert!(places.lock().is_empty());
    }
}

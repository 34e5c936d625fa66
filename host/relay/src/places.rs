//! Places for streams: of all, and of each subscriber.

use std::sync::{Arc, Mutex, PoisonError};

use switchhook_core::subscriber::{Shares, Subscriber};

use crate::limits;

/// Places for streams, of which each subscriber may hold some.
pub(crate) struct Places(Mutex<Shares>);

/// A stream's place, until this is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    subscriber: Subscriber,
}

impl Places {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Shares::new(limits::STREAMS, limits::STREAMS_EACH)))
    }

    /// Nothing where all are taken, or those of the subscriber.
    pub(crate) fn take(self: &Arc<Self>, subscriber: Subscriber) -> Option<Place> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take(subscriber);
        taken.then(|| Place { places: Arc::clone(self), subscriber })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.0.lock().unwrap_or_else(PoisonError::into_inner).give_back(self.subscriber);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_subscriber_leaves_room_for_others() {
        let places = Arc::new(Places::new());
        let streams = |ip: &str| -> Vec<_> {
            let subscriber: Subscriber = ip.parse::<std::net::IpAddr>().unwrap().into();
            std::iter::from_fn(|| places.take(subscriber)).collect()
        };
        let held = streams("192.0.2.1");
        assert_eq!(held.len(), limits::STREAMS_EACH);
        assert_eq!(streams("2001:db8::1").len(), limits::STREAMS_EACH);
        drop(held);
        assert_eq!(*places.0.lock().unwrap(), Shares::new(limits::STREAMS, limits::STREAMS_EACH));
    }
}

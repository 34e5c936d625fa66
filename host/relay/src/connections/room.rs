//! Room for so many at a time.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// How many more there is room for.
#[derive(Debug)]
pub(crate) struct Room(AtomicUsize);

/// The place of one, until this is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Room>);

impl Room {
    pub(crate) const fn new(most: usize) -> Self {
        Self(AtomicUsize::new(most))
    }

    /// Nothing where it is full.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Place> {
        // Nothing else is published by this number: it stands for itself.
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.is_ok().then(|| Place(Arc::clone(self)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_until_they_go() {
        let room = Arc::new(Room::new(2));
        let held = [room.take(), room.take()];
        assert!(held.iter().all(Option::is_some));
        assert!(room.take().is_none());
        drop(held);
        assert_eq!([0; 3].map(|_| room.take()).iter().flatten().count(), 2);
    }
}

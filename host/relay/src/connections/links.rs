//! The connections of one relayed address, and what they have from its allocation: they run without asking it.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

use super::room::{Place, Room};
use crate::{
    bandwidth::Meter, limits, metrics::Metrics, quotas::Participant, refusal::Refusal, silence::Seat,
};

/// The connections of one relayed address.
#[derive(Debug)]
pub(crate) struct Links {
    /// Whose they are.
    pub(crate) participant: Participant,
    /// How much passes by them.
    pub(crate) meter: Meter,
    /// Where it is noted that they are in use.
    pub(crate) seat: Arc<Seat>,
    /// Cancelled when the relayed address is gone.
    pub(crate) ended: CancellationToken,
    /// Those that peers have not answered yet.
    pub(crate) dialling: Arc<Room>,
    peers: Mutex<HashSet<SocketAddr>>,
    /// That of the whole relay host.
    room: Arc<Room>,
    metrics: Metrics,
}

/// A connection with a peer, or one that is about to be, until this is dropped.
#[derive(Debug)]
pub(crate) struct Link {
    links: Arc<Links>,
    peer: SocketAddr,
    _place: Place,
}

impl Links {
    /// `room` is that of the whole relay host.
    pub(crate) fn new(
        (participant, meter, seat): (Participant, Meter, Arc<Seat>),
        room: Arc<Room>,
        metrics: Metrics,
    ) -> Self {
        Self {
            participant,
            meter,
            seat,
            ended: CancellationToken::new(),
            dialling: Arc::new(Room::new(limits::DIALLING_EACH)),
            peers: Mutex::default(),
            room,
            metrics,
        }
    }

    /// Takes a place for a connection with a peer. There is one with each (446); and there are not more than the
    /// relayed address and the relay host have room for (508).
    pub(crate) fn take(self: &Arc<Self>, peer: SocketAddr) -> Result<Link, Refusal> {
        let mut peers = self.peers();
        if peers.contains(&peer) {
            return Err(Refusal::ConnectionExists);
        }
        let place = self.room.take().ok_or(Refusal::InsufficientCapacity)?;
        if peers.len() >= limits::CONNECTIONS_EACH {
            return Err(Refusal::InsufficientCapacity);
        }
        peers.insert(peer);
        drop(peers);
        self.metrics.peer_connections.inc();
        Ok(Link { links: Arc::clone(self), peer, _place: place })
    }

    /// Peers come and go whole: a panic elsewhere leaves them right.
    fn peers(&self) -> MutexGuard<'_, HashSet<SocketAddr>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Link {
    pub(crate) const fn links(&self) -> &Arc<Links> {
        &self.links
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.links.peers().remove(&self.peer);
        self.links.metrics.peer_connections.dec();
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use switchhook_core::relay_token::RelayShare;

    use super::*;
    use crate::bandwidth::{Bandwidth, Meters};

    /// Links of a device's relayed address, on a relay with room for so many.
    pub(crate) fn links_of(device: &str, room: usize, bandwidth: Bandwidth) -> Arc<Links> {
        let (tenant, session) = ("acme".parse().unwrap(), "s1".parse().unwrap());
        let participant = Participant { tenant, session, device: device.parse().unwrap() };
        let meter = Meters::new(bandwidth).of((&participant, RelayShare::default()), Duration::ZERO);
        let seat = Arc::new(Seat::new(Duration::ZERO));
        let room = Arc::new(Room::new(room));
        Arc::new(Links::new((participant, meter, seat), room, Metrics::default()))
    }

    fn peer(port: u16) -> SocketAddr {
        SocketAddr::new([203, 0, 113, 5].into(), port)
    }

    #[test]
    fn rel_3_there_is_one_connection_with_each_peer_until_it_is_over() {
        let links = links_of("d1", 10, Bandwidth::default());
        let held = links.take(peer(5_000)).unwrap();
        assert_eq!(links.take(peer(5_000)).err(), Some(Refusal::ConnectionExists));
        let _other = links.take(peer(5_001)).unwrap();
        assert_eq!(links.metrics.peer_connections.get(), 2);
        drop(held);
        let _again = links.take(peer(5_000)).unwrap();
        assert_eq!(links.metrics.peer_connections.get(), 2);
    }

    #[test]
    fn rel_3_a_relayed_address_has_so_many_connections_and_so_has_the_relay() {
        let links = links_of("d1", 1_000, Bandwidth::default());
        let held: Vec<Link> = (1..).map_while(|port| links.take(peer(port)).ok()).collect();
        assert_eq!(held.len(), limits::CONNECTIONS_EACH);
        assert_eq!(links.take(peer(9)).err(), Some(Refusal::ConnectionExists), "full, it says so first");
        assert_eq!(links.take(peer(9_000)).err(), Some(Refusal::InsufficientCapacity));
        drop(held);
        let left = std::iter::from_fn(|| links.room.take()).collect::<Vec<_>>().len();
        assert_eq!(left, 1_000, "who was refused took no place");

        let links = links_of("d1", 1, Bandwidth::default());
        let _held = links.take(peer(1)).unwrap();
        assert_eq!(links.take(peer(2)).err(), Some(Refusal::InsufficientCapacity));
    }
}

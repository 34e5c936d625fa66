//! Connections with peers that wait for their clients (RFC 6062 §5.4).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{net::TcpStream, time::Instant};

use super::links::{Link, Links};
use crate::{limits, quotas::Participant, refusal::Refusal};

/// What a connection is called between relay and client: CONNECTION-ID.
pub(crate) type ConnectionId = [u8; 4];

/// A connection with a peer.
#[derive(Debug)]
pub(crate) struct PeerConnection {
    /// Before its link: whoever may connect to the peer again, can.
    pub(crate) stream: TcpStream,
    pub(crate) link: Link,
}

#[derive(Debug, Default)]
pub(crate) struct Pending(Mutex<HashMap<ConnectionId, Waiting>>);

#[derive(Debug)]
struct Waiting {
    connection: PeerConnection,
    until: Instant,
}

impl Waiting {
    fn waits_at(&self, now: Instant) -> bool {
        self.until > now && !self.connection.link.links().ended.is_cancelled()
    }
}

impl Pending {
    /// Has a connection wait. There is room: its link has a place.
    pub(crate) fn keep(&self, connection: PeerConnection, now: Instant) -> ConnectionId {
        let mut waiting = self.lock();
        let mut id = rand::random();
        while waiting.contains_key(&id) {
            id = rand::random();
        }
        waiting.insert(id, Waiting { connection, until: now + limits::TO_BIND });
        id
    }

    /// Gives out the one with this id to whose it is, once; 400 where there is none, 441 where it is another's.
    pub(crate) fn take(
        &self,
        id: ConnectionId,
        participant: &Participant,
        now: Instant,
    ) -> Result<PeerConnection, Refusal> {
        let mut waiting = self.lock();
        let found = waiting.get(&id).filter(|found| found.waits_at(now)).ok_or(Refusal::BadRequest)?;
        if found.connection.link.links().participant != *participant {
            return Err(Refusal::WrongCredentials);
        }
        waiting.remove(&id).map(|found| found.connection).ok_or(Refusal::BadRequest)
    }

    /// Lets go what nobody came for in time.
    pub(crate) fn sweep(&self, now: Instant) {
        self.retain(|waiting| waiting.waits_at(now));
    }

    /// Lets go what a relayed address has here.
    pub(crate) fn forget(&self, links: &Arc<Links>) {
        self.retain(|waiting| !Arc::ptr_eq(waiting.connection.link.links(), links));
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn retain(&self, stays: impl Fn(&Waiting) -> bool) {
        let mut waiting = self.lock();
        waiting.retain(|_, waiting| stays(waiting));
        if waiting.is_empty() {
            waiting.shrink_to_fit();
        }
    }

    /// Entries are put in and out whole: a panic elsewhere leaves them right.
    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;
    use crate::{bandwidth::Bandwidth, connections::links::tests::links_of};

    /// A connection of these with a peer at such a port, as far as it matters.
    async fn connection(links: &Arc<Links>, port: u16) -> PeerConnection {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let link = links.take(([203, 0, 113, 5], port).into()).unwrap();
        PeerConnection { stream, link }
    }

    #[tokio::test]
    async fn rel_3_a_connection_waits_for_its_own_client_and_for_so_long() {
        let (pending, now) = (Pending::default(), Instant::now());
        let [own, others] = ["d1", "d2"].map(|device| links_of(device, 10, Bandwidth::default()));
        let [first, second] =
            [connection(&own, 1).await, connection(&own, 2).await].map(|it| pending.keep(it, now));
        assert_eq!(pending.take(first, &others.participant, now).err(), Some(Refusal::WrongCredentials));
        assert!(pending.take(first, &own.participant, now).is_ok());
        assert_eq!(pending.take(first, &own.participant, now).err(), Some(Refusal::BadRequest), "twice");

        let late = now + Duration::from_secs(30);
        assert_eq!(pending.take(second, &own.participant, late).err(), Some(Refusal::BadRequest));
        pending.sweep(now + Duration::from_secs(29));
        assert!(!pending.is_empty());
        pending.sweep(late);
        assert!(pending.is_empty());
    }

    #[tokio::test]
    async fn rel_3_what_waits_goes_with_its_relayed_address() {
        let (pending, now) = (Pending::default(), Instant::now());
        let [gone, stays] = ["d1", "d2"].map(|device| links_of(device, 10, Bandwidth::default()));
        let [of_gone, of_stays] =
            [connection(&gone, 1).await, connection(&stays, 1).await].map(|it| pending.keep(it, now));
        pending.forget(&gone);
        assert_eq!(pending.take(of_gone, &gone.participant, now).err(), Some(Refusal::BadRequest));

        stays.ended.cancel();
        assert_eq!(
            pending.take(of_stays, &stays.participant, now).err(),
            Some(Refusal::BadRequest),
            "it was connected as its address went"
        );
        pending.sweep(now);
        assert!(pending.is_empty());
    }
}

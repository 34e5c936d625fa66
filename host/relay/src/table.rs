//! Who holds which allocation.
//!
//! The crate `turn` makes an allocation's socket without being told for whom. It handles one
//! message at a time of each way that clients come by, though: the gate leaves a [`Claim`] before it
//! lets an Allocate request through, and whoever asks for a socket there next takes it. The [`Lease`] that comes of it lives with
//! the socket; when the socket goes, on whatever path, so does the entry.
//!
//! Ports given out are also kept as bits that the path of a packet reads without a lock.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use switchhook_core::relay_token::RelayToken;
use switchhook_protocol::id::{DeviceId, SessionId, TenantId};

use crate::{
    clients::{Client, Transport},
    limits,
    metrics::Metrics,
};

/// Whose an allocation is: tokens are renewed, the participant stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Participant {
    /// Of this tenant.
    pub tenant: TenantId,
    /// In this session.
    pub session: SessionId,
    /// By this device.
    pub device: DeviceId,
}

impl From<RelayToken> for Participant {
    fn from(token: RelayToken) -> Self {
        Self { tenant: token.tenant, session: token.session, device: token.device }
    }
}

/// An Allocate request that was let through and has no socket yet.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    pub(crate) client: Client,
    pub(crate) participant: Participant,
    /// The crate finds allocations by it.
    pub(crate) username: String,
    pub(crate) transaction: [u8; 12],
    /// The client wants an even port (RFC 8656 §18.6).
    pub(crate) even_port: bool,
}

pub(crate) struct Table {
    entries: Mutex<Entries>,
    /// One bit for each port given out.
    ports: Box<[AtomicU64]>,
    metrics: Metrics,
}

#[derive(Default)]
struct Entries {
    held: BTreeMap<Client, Held>,
    /// How many of them each participant holds.
    counts: BTreeMap<Participant, usize>,
    /// At most one of each way: the crate has a loop for each.
    claims: BTreeMap<Transport, Claim>,
    leases: u64,
}

struct Held {
    claim: Claim,
    lease: u64,
    peers: BTreeSet<IpAddr>,
    /// What the client was answered, for when it asks again because the answer was lost.
    answer: Option<Vec<u8>>,
}

impl Entries {
    fn remove(&mut self, client: Client) {
        let Some(held) = self.held.remove(&client) else { return };
        if let Entry::Occupied(mut count) = self.counts.entry(held.claim.participant) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// What an Allocate request meets.
pub(crate) enum Place {
    /// Nothing: there is room.
    Free,
    /// The client's own allocation, made by this same request; it was answered so.
    Repeated(Vec<u8>),
    /// The client's own allocation, made earlier.
    Taken,
    /// The participant holds as many as it may.
    Quota,
    /// The relay holds as many as it may.
    Full,
}

/// Why a request about an allocation does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotHeld {
    NoAllocation,
    AnotherParticipant,
    TooManyPeers,
}

impl Table {
    pub(crate) fn new(metrics: Metrics) -> Self {
        let ports = (0..=u16::MAX / 64).map(|_| AtomicU64::new(0)).collect();
        Self { entries: Mutex::default(), ports, metrics }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries().held.len()
    }

    /// What the client's Allocate request meets.
    pub(crate) fn place(&self, claim: &Claim, per_participant: usize, of_all: usize) -> Place {
        let entries = self.entries();
        if let Some(held) = entries.held.get(&claim.client) {
            let same = held.claim.transaction == claim.transaction;
            return held.answer.clone().filter(|_| same).map_or(Place::Taken, Place::Repeated);
        }
        if entries.counts.get(&claim.participant).copied().unwrap_or_default() >= per_participant {
            return Place::Quota;
        }
        if entries.held.len() >= of_all { Place::Full } else { Place::Free }
    }

    /// Leaves a claim for whoever makes the next socket.
    pub(crate) fn claim(&self, claim: Claim) {
        self.entries().claims.insert(claim.client.transport, claim);
    }

    /// Takes the claim for a socket that is to be made for a client that came by this way.
    pub(crate) fn take_claim(&self, transport: Transport) -> Option<Claim> {
        self.entries().claims.remove(&transport)
    }

    /// Whether a client holds an allocation.
    pub(crate) fn holds(&self, client: Client) -> bool {
        self.entries().held.contains_key(&client)
    }

    /// Under which name a client holds its allocation, if it holds one.
    pub(crate) fn username_of(&self, client: Client) -> Option<String> {
        self.entries().held.get(&client).map(|held| held.claim.username.clone())
    }

    /// Gives the place that was claimed to the socket that was made.
    pub(crate) fn lease(self: &Arc<Self>, claim: Claim, port: u16) -> Lease {
        let mut entries = self.entries();
        entries.remove(claim.client);
        *entries.counts.entry(claim.participant.clone()).or_default() += 1;
        entries.leases += 1;
        let lease = Lease {
            table: Arc::clone(self),
            client: claim.client,
            id: entries.leases,
            port,
            released: AtomicBool::new(false),
        };
        let held = Held { claim, lease: lease.id, peers: BTreeSet::new(), answer: None };
        entries.held.insert(lease.client, held);
        drop(entries);
        self.set_port(port, true);
        self.metrics.allocated.inc();
        self.metrics.allocations.inc();
        lease
    }

    /// Keeps what a client was answered when it got its allocation.
    pub(crate) fn answered(&self, client: Client, answer: &[u8]) {
        if let Some(held) = self.entries().held.get_mut(&client) {
            held.answer = Some(answer.to_vec());
        }
    }

    /// Whether the client holds an allocation as this participant, and has room for these peers.
    pub(crate) fn check(
        &self,
        client: Client,
        participant: &Participant,
        peers: impl IntoIterator<Item = IpAddr>,
    ) -> Result<(), NotHeld> {
        let mut entries = self.entries();
        let held = entries.held.get_mut(&client).ok_or(NotHeld::NoAllocation)?;
        if held.claim.participant != *participant {
            return Err(NotHeld::AnotherParticipant);
        }
        for peer in peers {
            if held.peers.len() >= limits::PEERS && !held.peers.contains(&peer) {
                return Err(NotHeld::TooManyPeers);
            }
            held.peers.insert(peer);
        }
        drop(entries);
        Ok(())
    }

    pub(crate) fn participants(&self) -> Vec<Participant> {
        self.entries().counts.keys().cloned().collect()
    }

    pub(crate) fn usernames_of(&self, participant: &Participant) -> BTreeSet<String> {
        let usernames = |entries: &Entries| {
            let claims = entries.held.values().map(|held| &held.claim);
            let own = claims.filter(|claim| claim.participant == *participant);
            own.map(|claim| claim.username.clone()).collect()
        };
        usernames(&self.entries())
    }

    /// Whether an allocation has this port now.
    pub(crate) fn has_port(&self, port: u16) -> bool {
        let word = self.ports.get(usize::from(port / 64));
        word.is_some_and(|word| word.load(Ordering::Relaxed) & (1 << (port % 64)) != 0)
    }

    fn set_port(&self, port: u16, given_out: bool) {
        let Some(word) = self.ports.get(usize::from(port / 64)) else { return };
        let bit = 1 << (port % 64);
        // Nothing else is published by these bits: each stands for itself.
        if given_out {
            word.fetch_or(bit, Ordering::Relaxed)
        } else {
            word.fetch_and(!bit, Ordering::Relaxed)
        };
    }

    /// A panic elsewhere leaves every entry whole: each is inserted or removed at once.
    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An entry of the table, held by an allocation's socket.
pub(crate) struct Lease {
    table: Arc<Table>,
    client: Client,
    id: u64,
    port: u16,
    released: AtomicBool,
}

impl Lease {
    /// Gives the place free; the second time nothing happens.
    pub(crate) fn release(&self) {
        if self.released.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut entries = self.table.entries();
        // The client may hold a newer allocation by now.
        if entries.held.get(&self.client).is_some_and(|held| held.lease == self.id) {
            entries.remove(self.client);
        }
        drop(entries);
        self.table.set_port(self.port, false);
        self.table.metrics.allocations.dec();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(client: &str, device: &str, transaction: u8) -> Claim {
        let participant = Participant {
            tenant: "acme".parse().unwrap(),
            session: "s1".parse().unwrap(),
            device: device.parse().unwrap(),
        };
        let username = format!("token-of-{device}");
        let client = udp(client);
        Claim { client, participant, username, transaction: [transaction; 12], even_port: false }
    }

    fn udp(addr: &str) -> Client {
        Client { transport: Transport::Udp, addr: addr.parse().unwrap() }
    }

    fn table() -> Arc<Table> {
        Arc::new(Table::new(Metrics::default()))
    }

    #[test]
    fn rel_3_a_place_is_counted_for_its_participant_until_its_socket_goes() {
        let table = table();
        let first = claim("192.0.2.1:1", "d1", 1);
        let second = claim("192.0.2.1:2", "d1", 2);
        assert!(matches!(table.place(&first, 1, 9), Place::Free));
        table.claim(first);
        let lease = table.lease(table.take_claim(Transport::Udp).unwrap(), 50_000);
        assert!(table.take_claim(Transport::Udp).is_none());
        assert!(table.has_port(50_000));
        assert!(matches!(table.place(&second, 1, 9), Place::Quota));
        assert!(matches!(table.place(&claim("192.0.2.2:1", "d2", 3), 1, 9), Place::Free));
        assert!(matches!(table.place(&claim("192.0.2.2:1", "d2", 3), 1, 1), Place::Full));
        drop(lease);
        assert!(!table.has_port(50_000));
        assert_eq!(table.len(), 0);
        assert!(matches!(table.place(&second, 1, 9), Place::Free));
    }

    #[test]
    fn one_address_that_comes_by_two_ways_is_two_clients() {
        let table = table();
        let (mut by_stream, by_datagram) = (claim("192.0.2.1:1", "d1", 1), claim("192.0.2.1:1", "d2", 2));
        by_stream.client.transport = Transport::Tcp;
        table.claim(by_stream.clone());
        table.claim(by_datagram);
        let _stream = table.lease(table.take_claim(Transport::Tcp).unwrap(), 50_000);
        assert_eq!(table.username_of(by_stream.client), Some("token-of-d1".to_owned()));
        assert_eq!(table.username_of(udp("192.0.2.1:1")), None);
        let _datagram = table.lease(table.take_claim(Transport::Udp).unwrap(), 50_001);
        assert_eq!(table.username_of(udp("192.0.2.1:1")), Some("token-of-d2".to_owned()));
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn a_repeated_request_is_answered_as_the_first_time() {
        let table = table();
        let _lease = table.lease(claim("192.0.2.1:1", "d1", 1), 50_000);
        table.answered(udp("192.0.2.1:1"), b"answer");
        assert!(
            matches!(table.place(&claim("192.0.2.1:1", "d1", 1), 1, 9), Place::Repeated(answer) if answer == b"answer")
        );
        assert!(matches!(table.place(&claim("192.0.2.1:1", "d1", 2), 1, 9), Place::Taken));
    }

    #[test]
    fn an_old_socket_does_not_take_the_new_ones_place_with_it() {
        let table = table();
        let old = table.lease(claim("192.0.2.1:1", "d1", 1), 50_000);
        old.release();
        let new = table.lease(claim("192.0.2.1:1", "d1", 2), 50_001);
        drop(old);
        assert_eq!(table.len(), 1);
        assert!(table.has_port(50_001));
        drop(new);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn an_allocation_has_room_for_some_peers_and_not_for_a_network() {
        let table = table();
        let mine = claim("192.0.2.1:1", "d1", 1);
        let _lease = table.lease(mine.clone(), 50_000);
        let check =
            |peer: u8| table.check(mine.client, &mine.participant, [IpAddr::from([203, 0, 113, peer])]);
        assert!((0..64).all(|peer| check(peer) == Ok(())));
        assert_eq!(check(64), Err(NotHeld::TooManyPeers));
        assert_eq!(check(7), Ok(()), "again");
        let other = claim("192.0.2.1:1", "d2", 1).participant;
        assert_eq!(table.check(mine.client, &other, []), Err(NotHeld::AnotherParticipant));
        assert_eq!(table.check(udp("192.0.2.9:1"), &other, []), Err(NotHeld::NoAllocation));
    }
}

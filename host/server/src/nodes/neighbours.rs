//! Where the clients of this node can go when it leaves: the other nodes that take connections, as it last saw them.
//!
//! Clients reach a node by its own address only where the operator says so, by `public_url`; without it nobody
//! is sent anywhere.

use std::sync::{Mutex, PoisonError};

use rand::{rngs::StdRng, seq::IndexedRandom as _};
use switchhook_core::row::Node;

/// The addresses of the others.
#[derive(Debug)]
pub(crate) struct Neighbours {
    public: bool,
    addresses: Mutex<Vec<String>>,
}

impl Neighbours {
    /// None yet; none ever, unless nodes have public addresses.
    pub(crate) fn new(public: bool) -> Self {
        Self { public, addresses: Mutex::default() }
    }

    /// These nodes live.
    pub(crate) fn see<'a>(&self, living: impl Iterator<Item = &'a Node>) {
        let open = living.filter(|node| self.public && !node.draining);
        let addresses = open.map(|node| node.address.clone()).collect();
        *self.addresses.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    /// One of them, each as likely as the others, so that none takes all.
    pub(crate) fn any(&self, rng: &mut StdRng) -> Option<String> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).choose(rng).cloned()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use switchhook_protocol::time::Timestamp;

    use super::*;

    fn node(address: &str, draining: bool) -> Node {
        Node {
            id: "n".parse().unwrap(),
            address: address.to_owned(),
            region: String::new(),
            sockets: 0,
            draining,
            started_at: Timestamp::from_millis(0),
            seen_at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn clients_are_sent_to_a_node_that_stays() {
        let (neighbours, mut rng) = (Neighbours::new(true), StdRng::seed_from_u64(1));
        assert_eq!(neighbours.any(&mut rng), None);
        let living = [node("wss://leaves.example", true), node("wss://stays.example", false)];
        neighbours.see(living.iter());
        for _ in 0..8 {
            assert_eq!(neighbours.any(&mut rng).as_deref(), Some("wss://stays.example"));
        }
        neighbours.see([].iter());
        assert_eq!(neighbours.any(&mut rng), None);
    }

    #[test]
    fn nobody_is_sent_to_an_address_that_is_for_nodes_alone() {
        let neighbours = Neighbours::new(false);
        neighbours.see([node("ws://10.0.0.2:7470", false)].iter());
        assert_eq!(neighbours.any(&mut StdRng::seed_from_u64(1)), None);
    }
}

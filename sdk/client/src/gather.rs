//! Who this device is on the network: what CDX sees of a socket (NAT-1).
//!
//! Both ports of CDX are asked through the very socket that will carry the data, so that they see the
//! mapping that the peer will meet. Requests repeat with doubling pauses (RFC 8489 §6.2.1), within a
//! bound; without an answer the connection data says less, and the host decides on less.

use core::net::SocketAddr;
use std::{collections::VecDeque, time::Instant};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use switchhook_protocol::{
    connection_data::{Candidate, CandidateKind, Claims, ConnectionData},
    server::CdxAddresses,
};
use tokio::time::{sleep_until, timeout_at};

use crate::{
    limits,
    network::{DatagramSocket, recv_from},
    stun::{observation_request, read_observation},
};

/// Asks CDX what it sees of this socket, and adds the device's own addresses.
pub async fn gather(socket: &dyn DatagramSocket, cdx: CdxAddresses) -> ConnectionData {
    look(socket, cdx).await.connection_data
}

/// What was found out about a socket.
#[derive(Debug, Clone)]
pub(crate) struct Gathered {
    /// For the host.
    pub(crate) connection_data: ConnectionData,
    /// Where the peer may reach it, the best first: for the peer.
    pub(crate) candidates: Vec<SocketAddr>,
}

/// The same, with what only the peer is told.
pub(crate) async fn look(socket: &dyn DatagramSocket, cdx: CdxAddresses) -> Gathered {
    let now = || tokio::time::Instant::now().into_std();
    let mut gathering = Gathering::new(cdx, now(), StdRng::from_rng(&mut rand::rng()));
    let mut buffer = vec![0; 2_048];
    while let Some(deadline) = gathering.poll_timeout() {
        while let Some((to, request)) = gathering.poll_transmit() {
            if let Err(error) = socket.send_to(&request, to) {
                tracing::debug!(%error, "CDX cannot be asked");
            }
        }
        match timeout_at(deadline.into(), recv_from(socket, &mut buffer)).await {
            Ok(Ok((length, from))) => {
                gathering.handle_datagram(from, buffer.get(..length).unwrap_or_default());
            }
            // A socket that fails to receive may yet recover before the next request.
            Ok(Err(error)) => {
                tracing::debug!(%error, "the socket fails");
                sleep_until(deadline.into()).await;
            }
            Err(_) => gathering.handle_timeout(now()),
        }
    }
    gathering.gathered(socket.host_addresses())
}

/// The exchange with both ports.
///
/// A machine: after each `handle_*`, take transmits until there are none; done when there is no timeout.
#[derive(Debug)]
pub(crate) struct Gathering {
    asked: Vec<Asked>,
    transmits: VecDeque<(SocketAddr, Vec<u8>)>,
}

/// One port of CDX.
#[derive(Debug)]
struct Asked {
    port: SocketAddr,
    transaction: u128,
    requests: u32,
    next: Instant,
    seen: Option<SocketAddr>,
    observed: Option<String>,
    done: bool,
}

impl Gathering {
    pub(crate) fn new(cdx: CdxAddresses, now: Instant, mut rng: StdRng) -> Self {
        let mut ask = |port| Asked {
            port,
            transaction: rng.random::<u128>() >> 32,
            requests: 0,
            next: now,
            seen: None,
            observed: None,
            done: false,
        };
        let asked = vec![ask(cdx.primary), ask(cdx.secondary)];
        let mut gathering = Self { asked, transmits: VecDeque::new() };
        gathering.handle_timeout(now);
        gathering
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for asked in self.asked.iter_mut().filter(|asked| !asked.done && asked.next <= now) {
            if asked.requests >= limits::CDX_REQUESTS {
                asked.done = true;
                continue;
            }
            asked.next = now + limits::CDX_RTO * (1 << asked.requests);
            asked.requests += 1;
            let request = observation_request(asked.transaction);
            self.transmits.extend(request.map(|request| (asked.port, request)));
        }
    }

    pub(crate) fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8]) {
        let Some(observed) = read_observation(datagram) else { return };
        let matches = |asked: &&mut Asked| asked.port == from && asked.transaction == observed.transaction;
        if let Some(asked) = self.asked.iter_mut().find(matches) {
            asked.done = true;
            asked.seen = Some(observed.address);
            asked.observed = observed.sealed;
        }
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.transmits.pop_front()
    }

    /// When to go on; none when both ports have answered or been asked often enough.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.asked.iter().filter(|asked| !asked.done).map(|asked| asked.next).min()
    }

    pub(crate) fn gathered(self, host_addresses: Vec<SocketAddr>) -> Gathered {
        let seen: Vec<SocketAddr> = self.asked.iter().filter_map(|asked| asked.seen).collect();
        let mut candidates = host_addresses.clone();
        for addr in seen.iter().copied().chain(predicted(&seen)) {
            if !candidates.contains(&addr) {
                candidates.push(addr);
            }
        }
        let own = host_addresses.into_iter().zip((1..=u32::from(u16::MAX)).rev());
        let host_candidates = own
            .map(|(address, priority)| Candidate { kind: CandidateKind::Host, address, priority })
            .collect();
        let connection_data = ConnectionData {
            observed: self.asked.into_iter().filter_map(|asked| asked.observed).collect(),
            claimed: Claims { host_candidates, ..Claims::default() },
        };
        Gathered { connection_data, candidates }
    }
}

/// Where a NAT that gives out one port after the other will be seen next.
///
/// Only where both ports of CDX have seen neighbours: anything else is no sequence, and a guess at it is waste.
fn predicted(seen: &[SocketAddr]) -> Vec<SocketAddr> {
    let [one, other] = seen else { return Vec::new() };
    let step = one.port().abs_diff(other.port());
    if one.ip() != other.ip() || !(1..=limits::PREDICTED_PORTS).contains(&step) {
        return Vec::new();
    }
    let last = one.port().max(other.port());
    let port = |ahead: u16| last.checked_add(step.checked_mul(ahead)?);
    (1..=limits::PREDICTED_PORTS).filter_map(port).map(|port| SocketAddr::new(one.ip(), port)).collect()
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn cdx() -> CdxAddresses {
        CdxAddresses {
            primary: "192.0.2.9:3479".parse().unwrap(),
            secondary: "192.0.2.9:3480".parse().unwrap(),
        }
    }

    fn start() -> (Gathering, Instant) {
        let now = tokio::time::Instant::now().into_std();
        (Gathering::new(cdx(), now, StdRng::seed_from_u64(1)), now)
    }

    #[test]
    fn nat_1_both_ports_are_asked_and_asked_again_with_doubling_pauses_within_a_bound() {
        let (mut gathering, begun) = start();
        let mut sent = Vec::new();
        while let Some(at) = gathering.poll_timeout() {
            while let Some((to, _)) = gathering.poll_transmit() {
                sent.push(to);
            }
            gathering.handle_timeout(at);
            assert!(at - begun <= Duration::from_millis(3_750));
        }
        assert_eq!(sent.iter().filter(|to| **to == cdx().primary).count(), 4);
        assert_eq!(sent.len(), 8);
        assert_eq!(gathering.gathered(Vec::new()).connection_data, ConnectionData::default());
    }

    #[test]
    fn an_answer_counts_from_the_port_that_was_asked() {
        let (mut gathering, _) = start();
        let (to, request) = gathering.poll_transmit().unwrap();
        let mut answer = request;
        // A success answer of the same transaction, with the address as its only attribute.
        answer.truncate(20);
        answer[0] = 1;
        answer[1] = 1;
        answer[3] = 12;
        answer.extend_from_slice(&[0, 0x20, 0, 8, 0, 1, 1, 2, 3, 4, 5, 6]);
        gathering.handle_datagram(cdx().secondary, &answer);
        assert!(gathering.asked.iter().all(|asked| !asked.done));
        gathering.handle_datagram(to, &answer);
        assert_eq!(gathering.asked.iter().filter(|asked| asked.done).count(), 1);
    }

    #[test]
    fn ports_are_guessed_of_a_nat_that_gives_out_one_after_the_other_and_of_no_other() {
        let guessed = |one: &str, other: &str| -> Vec<u16> {
            let seen = [one, other].map(|text| text.parse().unwrap());
            predicted(&seen).into_iter().map(|addr: SocketAddr| addr.port()).collect()
        };
        assert_eq!(guessed("192.0.2.1:1000", "192.0.2.1:1001"), [1002, 1003, 1004, 1005]);
        assert_eq!(guessed("192.0.2.1:1002", "192.0.2.1:1000"), [1004, 1006, 1008, 1010]);
        assert_eq!(guessed("192.0.2.1:65533", "192.0.2.1:65534"), [65535]);
        assert_eq!(guessed("192.0.2.1:1000", "192.0.2.1:1000"), Vec::<u16>::new(), "a cone");
        assert_eq!(guessed("192.0.2.1:1000", "192.0.2.1:9000"), Vec::<u16>::new(), "random");
        assert_eq!(guessed("192.0.2.1:1000", "192.0.2.2:1001"), Vec::<u16>::new(), "another address");
    }
}

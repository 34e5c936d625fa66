//! The exchange with all ports of CDX.

use core::net::SocketAddr;
use std::{collections::VecDeque, time::Instant};

use rand::{RngExt as _, rngs::StdRng};
use switchhook_protocol::{
    connection_data::{Candidate, CandidateKind, Claims, ConnectionData},
    server::{CdxAddresses, CdxPorts},
};

use super::{Gathered, Observer, next_ports::next_ports, secret::Secret};
use crate::{
    limits,
    stun::{observation_request, read_observation},
};

/// See the module.
///
/// A machine: after each `handle_*`, take transmits until there are none; done when there is no timeout.
pub(crate) struct Gathering {
    secret: Option<Secret>,
    asked: Vec<Asked>,
    /// Whoever has not answered by then is not there; set when one family has.
    until: Option<Instant>,
    transmits: VecDeque<(SocketAddr, Vec<u8>)>,
}

/// One port of CDX.
#[derive(Debug)]
struct Asked {
    port: SocketAddr,
    number: u32,
    requests: u32,
    next: Instant,
    seen: Option<SocketAddr>,
    observed: Option<String>,
    done: bool,
}

impl Gathering {
    pub(crate) fn new(observer: &Observer, now: Instant, mut rng: StdRng) -> Self {
        let Observer { cdx: CdxAddresses { primary, secondary, other_family }, secret } = observer;
        let mut ask = |port| Asked {
            port,
            number: rng.random(),
            requests: 0,
            next: now,
            seen: None,
            observed: None,
            done: false,
        };
        let both = |ports: CdxPorts| [ports.primary, ports.secondary];
        let ports = [*primary, *secondary].into_iter().chain(other_family.map(both).into_iter().flatten());
        let asked = ports.map(&mut ask).collect();
        let secret = secret.clone().filter(|secret| secret.counts(now));
        let mut gathering = Self { secret, asked, until: None, transmits: VecDeque::new() };
        gathering.handle_timeout(now);
        gathering
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for asked in self.asked.iter_mut().filter(|asked| !asked.done && asked.next <= now) {
            let is_late = self.until.is_some_and(|until| until <= now);
            if is_late || asked.requests >= limits::CDX_REQUESTS {
                asked.done = true;
                continue;
            }
            let next = now + limits::CDX_RTO * (1 << asked.requests);
            asked.next = self.until.map_or(next, |until| next.min(until));
            asked.requests += 1;
            let request = match &self.secret {
                Some(secret) => secret.question(asked.number),
                None => observation_request(asked.number.into()),
            };
            self.transmits.extend(request.map(|request| (asked.port, request)));
        }
    }

    pub(crate) fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) {
        let Some((number, seen, sealed)) = self.read(datagram) else { return };
        let matches = |asked: &&mut Asked| asked.port == from && asked.number == number;
        if let Some(asked) = self.asked.iter_mut().find(matches) {
            asked.done = true;
            asked.seen = Some(seen);
            asked.observed = sealed;
        }
        self.hurry(now);
    }

    /// Under a key, what is not under it was not said.
    fn read(&self, datagram: &[u8]) -> Option<(u32, SocketAddr, Option<String>)> {
        if let Some(secret) = &self.secret {
            return secret.read(datagram).map(|answer| (answer.number, answer.observed, Some(answer.sealed)));
        }
        let observed = read_observation(datagram)?;
        Some((u32::try_from(observed.transaction).ok()?, observed.address, observed.sealed))
    }

    /// Where one family has answered, the other has a moment left: many a network has none of it.
    fn hurry(&mut self, now: Instant) {
        let has_answered = |v4: bool| {
            let mut of_family = self.asked.iter().filter(|asked| asked.port.is_ipv4() == v4).peekable();
            of_family.peek().is_some() && of_family.all(|asked| asked.seen.is_some())
        };
        if !has_answered(true) && !has_answered(false) {
            return;
        }
        let until = *self.until.get_or_insert(now + limits::CDX_OTHER_FAMILY);
        for asked in self.asked.iter_mut().filter(|asked| !asked.done) {
            asked.next = asked.next.min(until);
        }
    }

    /// There is no way to this port: the device has no address of its family.
    pub(super) fn cannot_ask(&mut self, port: SocketAddr) {
        for asked in self.asked.iter_mut().filter(|asked| asked.port == port) {
            asked.done = true;
        }
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<(SocketAddr, Vec<u8>)> {
        self.transmits.pop_front()
    }

    /// When to go on; none when all ports have answered or been asked often enough.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.asked.iter().filter(|asked| !asked.done).map(|asked| asked.next).min()
    }

    pub(crate) fn gathered(self, host_addresses: Vec<SocketAddr>) -> Gathered {
        let mut candidates = host_addresses.clone();
        let seen: Vec<_> = self.asked.iter().filter_map(|asked| asked.seen).collect();
        for addr in &seen {
            if !candidates.contains(addr) {
                candidates.push(*addr);
            }
        }
        let next_ports = self.asked.chunks(2).flat_map(|ports| {
            let seen: Vec<_> = ports.iter().filter_map(|asked| asked.seen).collect();
            next_ports(&seen)
        });
        let next_ports = next_ports.collect();
        let own = host_addresses.into_iter().zip((1..=u32::from(u16::MAX)).rev());
        let host_candidates = own
            .map(|(address, priority)| Candidate { kind: CandidateKind::Host, address, priority })
            .collect();
        let connection_data = ConnectionData {
            observed: self.asked.into_iter().filter_map(|asked| asked.observed).collect(),
            claimed: Claims { host_candidates, ..Claims::default() },
        };
        Gathered { connection_data, candidates, next_ports }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use rand::SeedableRng as _;
    use switchhook_protocol::{cdx::own, device_key::KeyBytes, server::CdxKey};

    use super::*;
    use crate::gather::now;

    fn cdx() -> CdxAddresses {
        CdxAddresses {
            primary: "192.0.2.9:3479".parse().unwrap(),
            secondary: "192.0.2.9:3480".parse().unwrap(),
            other_family: None,
        }
    }

    fn plain(cdx: CdxAddresses) -> Observer {
        Observer { cdx, secret: None }
    }

    fn start() -> (Gathering, Instant) {
        let now = now();
        (Gathering::new(&plain(cdx()), now, StdRng::seed_from_u64(1)), now)
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
        let (mut gathering, now) = start();
        let (to, request) = gathering.poll_transmit().unwrap();
        let mut answer = request;
        // A success answer of the same transaction, with the address as its only attribute.
        answer.truncate(20);
        answer[0] = 1;
        answer[1] = 1;
        answer[3] = 12;
        answer.extend_from_slice(&[0, 0x20, 0, 8, 0, 1, 1, 2, 3, 4, 5, 6]);
        gathering.handle_datagram(cdx().secondary, &answer, now);
        assert!(gathering.asked.iter().all(|asked| !asked.done));
        gathering.handle_datagram(to, &answer, now);
        assert_eq!(gathering.asked.iter().filter(|asked| asked.done).count(), 1);
    }

    /// A success answer to this request, with an address of its family as its only attribute.
    fn answer(mut request: Vec<u8>) -> Vec<u8> {
        request.truncate(20);
        request[0] = 1;
        request[1] = 1;
        request[3] = 12;
        request.extend_from_slice(&[0, 0x20, 0, 8, 0, 1, 1, 2, 3, 4, 5, 6]);
        request
    }

    #[test]
    fn nat_1_both_families_are_asked_and_one_that_is_silent_is_not_waited_for_long() {
        let other = CdxPorts {
            primary: "[2001:db8::9]:3479".parse().unwrap(),
            secondary: "[2001:db8::9]:3480".parse().unwrap(),
        };
        let start = now();
        let both = CdxAddresses { other_family: Some(other), ..cdx() };
        let mut gathering = Gathering::new(&plain(both), start, StdRng::seed_from_u64(1));
        let mut sent = Vec::new();
        while let Some((to, request)) = gathering.poll_transmit() {
            sent.push(to);
            if to.is_ipv4() {
                gathering.handle_datagram(to, &answer(request), start);
            }
        }
        assert_eq!(sent, [cdx().primary, cdx().secondary, other.primary, other.secondary]);
        let mut asked_again = 0;
        while let Some(at) = gathering.poll_timeout() {
            assert!(at <= start + limits::CDX_OTHER_FAMILY);
            gathering.handle_timeout(at);
            asked_again += core::iter::from_fn(|| gathering.poll_transmit()).count();
        }
        assert_eq!(asked_again, 2, "each port of the silent family once more");
    }

    #[test]
    fn nat_2_under_a_key_nothing_else_is_asked_and_nothing_else_is_believed() {
        let key = CdxKey { handle: "aGFuZGxl".to_owned(), key: KeyBytes(vec![7; 32]), expires_in_ms: 1_000 };
        let start = now();
        let observer = Observer { cdx: cdx(), secret: Secret::new(&key, start) };
        let mut gathering = Gathering::new(&observer, start, StdRng::seed_from_u64(1));
        let (to, first) = gathering.poll_transmit().unwrap();
        assert_eq!(own::Asked::read(&first).unwrap().handle, b"handle");
        let number = gathering.asked[0].number;
        gathering.handle_datagram(to, &answer(observation_request(number.into()).unwrap()), start);
        assert!(!gathering.asked[0].done, "standard STUN is anybody's word");
        gathering.handle_timeout(start + limits::CDX_RTO);
        let again =
            core::iter::from_fn(|| gathering.poll_transmit()).find(|(port, _)| *port == to).unwrap().1;
        assert_ne!(first, again, "sealed anew");

        let late = start + Duration::from_secs(1);
        let mut plain = Gathering::new(&observer, late, StdRng::seed_from_u64(1));
        let (_, request) = plain.poll_transmit().unwrap();
        assert_eq!(own::Asked::read(&request), None, "a key that is over is not shown");
        assert!(gathering.gathered(Vec::new()).connection_data.observed.is_empty());
    }
}

//! What is about to be sent, gathered by flow.
//!
//! Datagrams of one flow that follow each other and have one size leave in one system call. A shard
//! gathers what it makes of one batch of arrivals and sends it before it receives the next, so
//! that nothing waits for more to come. The order within a flow stays.

use std::net::SocketAddr;

use quinn_udp::EcnCodepoint;

use crate::{family::Family, limits};

/// The socket that a datagram leaves by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Via {
    /// The TURN port.
    Door(Family),
    /// That of an allocation.
    Relayed(usize, Family),
}

/// Datagrams of one flow: of one size, but for the last.
#[derive(Debug)]
pub(crate) struct Sheaf {
    pub(crate) via: Via,
    pub(crate) to: SocketAddr,
    pub(crate) ecn: Option<EcnCodepoint>,
    pub(crate) bytes: Vec<u8>,
    /// Of each datagram but the last.
    pub(crate) size: usize,
    /// The last is shorter: no other may follow.
    ended: bool,
    count: usize,
}

/// All that is about to be sent. The memory of what was sent serves what is next.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    sheaves: Vec<Sheaf>,
    used: usize,
}

/// Where a datagram goes, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) via: Via,
    pub(crate) to: SocketAddr,
    pub(crate) ecn: Option<EcnCodepoint>,
}

impl Outgoing {
    /// Whether nothing more should be added before what is there is sent.
    pub(crate) const fn is_full(&self) -> bool {
        self.used >= limits::SHEAVES
    }

    /// Adds a datagram of two parts; `most` of a sheaf leave in one call.
    pub(crate) fn add(&mut self, flow: Flow, head: &[u8], data: &[u8], most: usize) {
        let length = head.len() + data.len();
        let of_flow = self.sheaves.iter_mut().take(self.used).rev().find(|sheaf| sheaf.is_of(flow));
        // The last of the flow or none, so that its datagrams stay in their order.
        let sheaf = match of_flow.filter(|it| it.ecn == flow.ecn && it.has_room_for(length, most)) {
            Some(sheaf) => sheaf,
            None => self.begin(flow, length),
        };
        sheaf.bytes.extend_from_slice(head);
        sheaf.bytes.extend_from_slice(data);
        sheaf.ended = length < sheaf.size;
        sheaf.count += 1;
    }

    fn begin(&mut self, Flow { via, to, ecn }: Flow, size: usize) -> &mut Sheaf {
        let at = self.used;
        self.used += 1;
        if at == self.sheaves.len() {
            self.sheaves.push(Sheaf { via, to, ecn, bytes: Vec::new(), size, ended: false, count: 0 });
        }
        let at = at.min(self.sheaves.len() - 1);
        #[expect(clippy::indexing_slicing, reason = "one was pushed above if there was none; `at` is within")]
        let sheaf = &mut self.sheaves[at];
        sheaf.bytes.clear();
        (sheaf.via, sheaf.to, sheaf.ecn) = (via, to, ecn);
        (sheaf.size, sheaf.ended, sheaf.count) = (size, false, 0);
        sheaf
    }

    /// What is to be sent, in its order; after [`Self::clear`] it counts as sent.
    pub(crate) fn sheaves(&self) -> impl Iterator<Item = &Sheaf> {
        self.sheaves.iter().take(self.used)
    }

    pub(crate) const fn clear(&mut self) {
        self.used = 0;
    }
}

impl Sheaf {
    fn is_of(&self, flow: Flow) -> bool {
        self.via == flow.via && self.to == flow.to
    }

    const fn has_room_for(&self, length: usize, most: usize) -> bool {
        !self.ended
            && length <= self.size
            && length > 0
            && self.count < most
            && self.bytes.len() + length <= limits::SHEAF
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(via: usize, to: &str) -> Flow {
        Flow { via: Via::Relayed(via, Family::V4), to: to.parse().unwrap(), ecn: None }
    }

    fn sent(outgoing: &Outgoing) -> Vec<(Via, &[u8], usize)> {
        outgoing.sheaves().map(|sheaf| (sheaf.via, sheaf.bytes.as_slice(), sheaf.size)).collect()
    }

    #[test]
    fn what_follows_in_one_flow_and_has_one_size_leaves_together() {
        let mut outgoing = Outgoing::default();
        let (one, other) = (flow(1, "192.0.2.1:1"), flow(2, "192.0.2.1:1"));
        for (flow, data) in [(one, &b"aa"[..]), (other, b"bb"), (one, b"cc"), (one, b"d"), (one, b"ee")] {
            outgoing.add(flow, b"-", data, 8);
        }
        // A shorter one ends its sheaf; another flow's in between does not.
        let expected: [(Via, &[u8], usize); 3] =
            [(one.via, b"-aa-cc-d", 3), (other.via, b"-bb", 3), (one.via, b"-ee", 3)];
        assert_eq!(sent(&outgoing), expected);

        outgoing.clear();
        outgoing.add(other, b"", b"ff", 8);
        outgoing.add(other, b"", b"ggg", 8);
        let expected: [(Via, &[u8], usize); 2] = [(other.via, b"ff", 2), (other.via, b"ggg", 3)];
        assert_eq!(sent(&outgoing), expected, "a longer one begins a new sheaf");
    }

    #[test]
    fn a_sheaf_is_no_larger_than_one_call_takes() {
        let mut outgoing = Outgoing::default();
        (0..5).for_each(|_| outgoing.add(flow(1, "192.0.2.1:1"), b"", b"a", 2));
        assert_eq!(outgoing.sheaves().map(|sheaf| sheaf.bytes.len()).collect::<Vec<_>>(), [2, 2, 1]);

        outgoing.clear();
        (0..70).for_each(|_| outgoing.add(flow(1, "192.0.2.1:1"), b"", &[0; 1_000], 128));
        assert_eq!(outgoing.sheaves().map(|sheaf| sheaf.bytes.len()).collect::<Vec<_>>(), [65_000, 5_000]);
    }
}

//! The path of a packet: from a client to a peer, and back (RFC 8656 §11, §12).
//!
//! Whatever may not pass is lost without a word, as the RFC has it.

use std::net::SocketAddr;

use quinn_udp::EcnCodepoint;
use switchhook_core::{
    stun::{self, Message, Writer, attribute as stun_attribute},
    turn::{channel_data, channel_header},
};

use crate::{
    allocation::Allocation,
    clients::Caller,
    datagrams::Group,
    family::Family,
    outgoing::{Flow, Via},
    relaying::Relaying,
    transport::Transport,
    wire::{attribute, message_type},
};

impl Relaying {
    /// From the client of an allocation, by a channel.
    pub(crate) fn relay_channel(&mut self, key: usize, message: &[u8], ecn: Option<EcnCodepoint>) {
        let Some((number, data)) = channel_data(message) else { return };
        let Some(allocation) = self.allocations.get(key) else { return };
        let Some(peer) = allocation.peers.of_channel(number, self.now) else { return };
        self.relay_to_peer(key, peer, data, ecn);
    }

    /// From a client, by an indication that names the peer.
    pub(crate) fn relay_indication(&mut self, caller: &Caller, message: &Message<'_>) {
        let Some(key) = self.held_by.get(&caller.client()).copied() else { return };
        let peer = message.attribute(attribute::XOR_PEER_ADDRESS);
        let Some(peer) = peer.and_then(|peer| stun::read_address(peer, &message.transaction())) else {
            return;
        };
        let Some(data) = message.attribute(attribute::DATA) else { return };
        if message.attributes().any(|(kind, _)| is_foreign(kind)) {
            return;
        }
        let Some(allocation) = self.allocations.get(key) else { return };
        if !allocation.peers.are_permitted(peer.ip(), self.now) {
            return;
        }
        if message.attribute(attribute::DONT_FRAGMENT).is_some() {
            self.relay_whole(key, peer, data);
        } else {
            self.relay_to_peer(key, peer, data, None);
        }
    }

    /// To a peer, in one piece or not at all.
    fn relay_whole(&mut self, key: usize, peer: SocketAddr, data: &[u8]) {
        // The rule is the socket's, so it must not meet what was gathered before.
        self.flush();
        let via = Via::Relayed(key, Family::of(peer.ip()));
        if self.socket(via).is_some_and(|socket| socket.may_fragment(false).is_ok()) {
            self.relay_to_peer(key, peer, data, None);
            self.flush();
            if let Some(to) = self.host.filter.towards(peer, Transport::Udp) {
                self.tell_whether_too_large(via, to);
            }
        }
        if let Some(Err(error)) = self.socket(via).map(|socket| socket.may_fragment(true)) {
            tracing::debug!(%error, "an allocation goes on without fragments");
        }
    }

    fn relay_to_peer(&mut self, key: usize, peer: SocketAddr, data: &[u8], ecn: Option<EcnCodepoint>) {
        let Some(to) = self.host.filter.towards(peer, Transport::Udp) else {
            self.host.metrics.refused_peer_packets.inc();
            return;
        };
        let via = Via::Relayed(key, Family::of(to.ip()));
        // By an allocation of TCP no datagrams go.
        if self.socket(via).is_some() && self.passes(key, data.len()) {
            self.tally.to_peer.add(1, bytes(data.len()));
            self.send(Flow { via, to, ecn }, &[], data);
        }
    }

    /// From a peer, by the channel that stands for it, or by indications.
    pub(crate) fn relay_to_client(&mut self, key: usize, group: &Group<'_>) {
        let Some(peer) = self.host.filter.from(group.from, Transport::Udp) else {
            self.host.metrics.refused_peer_packets.inc_by(count(group));
            return;
        };
        let Some(allocation) = self.allocations.get(key) else { return };
        if !allocation.peers.are_permitted(peer.ip(), self.now) {
            return;
        }
        let (caller, channel) = (allocation.caller.clone(), allocation.peers.channel_to(peer, self.now));
        // Merged or not, each is metered by itself: all together may be more than ever fits.
        for data in group.datagrams() {
            if !self.passes(key, data.len()) {
                continue;
            }
            self.tally.from_peer.add(1, bytes(data.len()));
            if let Some(channel) = channel {
                let Some(head) = channel_header(channel, data.len()) else { continue };
                self.deliver(&caller, &head, data, group.ecn);
            } else {
                self.indicate(&caller, peer, attribute::DATA, data);
            }
        }
    }

    /// Tells a client what came from a peer, in an indication.
    pub(crate) fn indicate(&mut self, caller: &Caller, peer: SocketAddr, kind: u16, value: &[u8]) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut writer = Writer::new(&mut scratch, message_type::DATA, rand::random());
        writer.xor_address(attribute::XOR_PEER_ADDRESS, peer);
        writer.attribute(kind, value);
        self.deliver(caller, &scratch, &[], None);
        self.scratch = scratch;
    }

    /// Whether the bandwidth of session and tenant leaves room.
    fn passes(&self, key: usize, length: usize) -> bool {
        let meter = self.allocations.get(key).map(|Allocation { meter, .. }| meter);
        let passes = meter
            .is_some_and(|meter| meter.is_open() || meter.lets_pass(bytes(length), self.host.age(self.now)));
        if !passes {
            self.host.metrics.limited_packets.inc();
        }
        passes
    }
}

/// Whether an indication must not be acted on, for what it holds is not known (RFC 8489 §6.3.2).
const fn is_foreign(kind: u16) -> bool {
    let known = matches!(kind, attribute::XOR_PEER_ADDRESS | attribute::DATA | attribute::DONT_FRAGMENT);
    !known && !stun_attribute::is_optional(kind)
}

fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or_default()
}

fn count(group: &Group<'_>) -> u64 {
    bytes(group.count())
}

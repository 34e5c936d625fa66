//! What the relay counts.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::refusal::Refusal;

/// Counters and gauges of one relay host.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Allocations held now.
    pub allocations: Gauge,
    /// Allocations made.
    pub allocated: Counter,
    /// Allocations that gave way to a newer one of their participant, their clients having been silent.
    pub gave_way: Counter,
    /// Allocations that followed their clients to another address.
    pub moved: Counter,
    /// Datagrams sent to peers.
    pub to_peer_packets: Counter,
    /// Their payload in bytes.
    pub to_peer_bytes: Counter,
    /// Datagrams received from peers.
    pub from_peer_packets: Counter,
    /// Their payload in bytes.
    pub from_peer_bytes: Counter,
    /// Datagrams to or from peers that the operator's rules refuse.
    pub refused_peer_packets: Counter,
    /// Datagrams lost because their session or tenant had more relayed than it may.
    pub limited_packets: Counter,
    /// Answers to strangers that were not given, their source having asked too much.
    pub strangers_refused: Counter,
    /// Connections with peers held now, those that are not answered yet or wait for their clients among them.
    pub peer_connections: Gauge,
    /// Connections with peers that were joined with one of a client's.
    pub peer_connections_joined: Counter,
    /// Peers that connected without a permission, or where there was no room, and were closed at once.
    pub peer_connections_refused: Counter,
    /// Streams of clients open now.
    pub streams: Gauge,
    /// Streams closed at once: too many are open, of all or of one subscriber.
    pub streams_refused: Counter,
    refused: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Metrics {
    /// Shows everything as `switchhook_relay_…`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("switchhook_relay");
        registry.register("allocations", "Allocations held now", self.allocations.clone());
        registry.register("allocated", "Allocations made", self.allocated.clone());
        let help = "Allocations of silent clients that gave way to a newer one of their participant";
        registry.register("gave_way", help, self.gave_way.clone());
        registry.register("moved", "Allocations that followed their clients", self.moved.clone());
        registry.register("to_peer_packets", "Datagrams sent to peers", self.to_peer_packets.clone());
        registry.register("to_peer_bytes", "Payload sent to peers, in bytes", self.to_peer_bytes.clone());
        registry.register(
            "from_peer_packets",
            "Datagrams received from peers",
            self.from_peer_packets.clone(),
        );
        registry.register(
            "from_peer_bytes",
            "Payload received from peers, in bytes",
            self.from_peer_bytes.clone(),
        );
        let help = "Datagrams to or from peers that the operator's rules refuse";
        registry.register("refused_peer_packets", help, self.refused_peer_packets.clone());
        let help = "Datagrams lost, their session or tenant having had more relayed than it may";
        registry.register("limited_packets", help, self.limited_packets.clone());
        let help = "Answers to strangers that were not given, their source having asked too much";
        registry.register("strangers_refused", help, self.strangers_refused.clone());
        let help = "Connections with peers held now";
        registry.register("peer_connections", help, self.peer_connections.clone());
        let help = "Connections with peers joined with one of a client's";
        registry.register("peer_connections_joined", help, self.peer_connections_joined.clone());
        let help = "Connections of peers closed at once, for want of a permission or of room";
        registry.register("peer_connections_refused", help, self.peer_connections_refused.clone());
        registry.register("streams", "Streams of clients open now", self.streams.clone());
        let help = "Streams of clients closed at once, too many being open of all or of one address";
        registry.register("streams_refused", help, self.streams_refused.clone());
        registry.register("refused_requests", "TURN requests refused, by reason", self.refused.clone());
    }

    /// TURN requests refused with this error code.
    pub fn refused_with(&self, code: u16) -> u64 {
        let reason = Refusal::ALL.into_iter().find(|refusal| refusal.code() == code);
        reason.map_or(0, |reason| self.refused.get_or_create(&[("reason", reason.word())]).get())
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        self.refused.get_or_create(&[("reason", refusal.word())]).inc();
    }
}

/// What a shard has relayed since it last told the metrics, which all shards share.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) to_peer: Relayed,
    pub(crate) from_peer: Relayed,
}

/// Datagrams, and their payload in bytes.
#[derive(Debug, Default)]
pub(crate) struct Relayed {
    datagrams: u64,
    bytes: u64,
}

impl Relayed {
    pub(crate) const fn add(&mut self, datagrams: u64, bytes: u64) {
        self.datagrams += datagrams;
        self.bytes += bytes;
    }
}

impl Tally {
    pub(crate) fn tell(&mut self, metrics: &Metrics) {
        let Self { to_peer, from_peer } = std::mem::take(self);
        if to_peer.datagrams > 0 {
            metrics.to_peer_packets.inc_by(to_peer.datagrams);
            metrics.to_peer_bytes.inc_by(to_peer.bytes);
        }
        if from_peer.datagrams > 0 {
            metrics.from_peer_packets.inc_by(from_peer.datagrams);
            metrics.from_peer_bytes.inc_by(from_peer.bytes);
        }
    }
}

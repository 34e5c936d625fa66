//! What one shard holds and does: allocations, and what goes between their clients and peers.
//!
//! Everything about one client happens on one shard, one message after the other, so that there is no
//! lock on the path of a packet.

use std::{collections::HashMap, sync::Arc};

use mio::Registry;
use slab::Slab;
use switchhook_core::{
    stun::{Message, message_type as stun_type},
    turn::is_channel_data,
};
use tokio::time::Instant;

use crate::{
    allocation::Allocation,
    clients::{Caller, Client, Stream},
    connections::Listening,
    datagrams::{Datagrams, Group},
    family::{Family, PerFamily},
    host::Host,
    inbox::Inbox,
    limits, memory,
    metrics::Tally,
    outgoing::{Flow, Outgoing, Via},
    quotas::Participant,
    wire::message_type,
};

pub(crate) struct Relaying {
    pub(crate) host: Arc<Host>,
    /// Which of the shards this is.
    pub(crate) shard: usize,
    /// The ways to all shards, in their order.
    pub(crate) inboxes: Arc<[Inbox]>,
    /// The TURN port, once for each family.
    pub(crate) doors: PerFamily<Datagrams>,
    pub(crate) allocations: Slab<Allocation>,
    pub(crate) held_by: HashMap<Client, usize>,
    /// Where new sockets are waited for.
    pub(crate) registry: Registry,
    pub(crate) outgoing: Outgoing,
    pub(crate) tally: Tally,
    /// Where answers are written.
    pub(crate) scratch: Vec<u8>,
    /// The time of what is done now.
    pub(crate) now: Instant,
}

impl Relaying {
    pub(crate) fn new(
        host: Arc<Host>,
        (shard, inboxes): (usize, Arc<[Inbox]>),
        doors: PerFamily<Datagrams>,
        registry: Registry,
    ) -> Self {
        Self {
            host,
            shard,
            inboxes,
            doors,
            allocations: Slab::new(),
            held_by: HashMap::new(),
            registry,
            outgoing: Outgoing::default(),
            tally: Tally::default(),
            scratch: Vec::new(),
            now: Instant::now(),
        }
    }

    /// Takes what came to the TURN port.
    pub(crate) fn take(&mut self, group: &Group<'_>) {
        // Nobody can be answered there, and a kernel that refuses a send is taken for one that cannot cut.
        if group.from.port() == 0 {
            return;
        }
        let caller = Caller::by_datagrams(group.from);
        let held = self.hear(&caller);
        for datagram in group.datagrams() {
            let is_data = datagram.first().is_some_and(|first| is_channel_data(*first));
            match held {
                Some(key) if is_data => self.relay_channel(key, datagram, group.ecn),
                _ => self.take_message(&caller, datagram),
            }
        }
    }

    /// Takes a message of a stream.
    pub(crate) fn take_from(&mut self, stream: Arc<Stream>, bytes: &[u8]) {
        let caller = Caller::by_stream(stream);
        self.hear(&caller);
        self.take_message(&caller, bytes);
    }

    /// A client says something: whatever it is, its allocation is in use, and all shards are told so every second.
    fn hear(&mut self, caller: &Caller) -> Option<usize> {
        let key = *self.held_by.get(&caller.client())?;
        let allocation = self.allocations.get_mut(key)?;
        if self.now.saturating_duration_since(allocation.heard) >= limits::HEARD_AGAIN {
            allocation.heard = self.now;
            allocation.place.hear(self.host.age(self.now));
        }
        Some(key)
    }

    /// Takes one message, however it came.
    pub(crate) fn take_message(&mut self, caller: &Caller, bytes: &[u8]) {
        if bytes.first().is_some_and(|first| is_channel_data(*first)) {
            if let Some(key) = self.held_by.get(&caller.client()) {
                self.relay_channel(*key, bytes, None);
            }
            return;
        }
        let Ok(message) = Message::parse(bytes) else { return };
        match message.message_type() {
            message_type::SEND => self.relay_indication(caller, &message),
            stun_type::BINDING_REQUEST => self.answer_binding(caller, &message),
            message_type::ALLOCATE
            | message_type::REFRESH
            | message_type::CREATE_PERMISSION
            | message_type::CHANNEL_BIND
            | message_type::CONNECT
            | message_type::CONNECTION_BIND => self.answer_request(caller, &message, bytes),
            _ => {}
        }
    }

    /// Answers a client: on a stream before all data, which takes no room from answers.
    pub(crate) fn answer(&mut self, caller: &Caller, answer: &[u8]) {
        match &caller.stream {
            Some(stream) => stream.answer(answer),
            None => self.deliver(caller, answer, &[], None),
        }
    }

    /// Sends a message of two parts to a client.
    pub(crate) fn deliver(
        &mut self,
        caller: &Caller,
        head: &[u8],
        data: &[u8],
        ecn: Option<quinn_udp::EcnCodepoint>,
    ) {
        if let Some(stream) = &caller.stream {
            stream.deliver(head, data);
            return;
        }
        let via = Via::Door(Family::of(caller.addr.ip()));
        self.send(Flow { via, to: caller.addr, ecn }, head, data);
    }

    /// Gathers a datagram of two parts; it leaves with the next [`Self::flush`].
    pub(crate) fn send(&mut self, flow: Flow, head: &[u8], data: &[u8]) {
        if self.outgoing.is_full() {
            self.flush();
        }
        let most = self.socket(flow.via).map_or(1, Datagrams::most_segments);
        self.outgoing.add(flow, head, data, most);
    }

    /// Sends what was gathered.
    pub(crate) fn flush(&mut self) {
        // Before the datagrams: who has seen one finds it counted.
        self.tally.tell(&self.host.metrics);
        for sheaf in self.outgoing.sheaves() {
            // Its address may have been given up meanwhile, and its datagrams with it.
            if let Some(socket) = self.socket(sheaf.via) {
                socket.send(sheaf.to, &sheaf.bytes, sheaf.size, sheaf.ecn);
            }
        }
        self.outgoing.clear();
    }

    /// Where datagrams leave and arrive.
    pub(crate) fn socket(&self, via: Via) -> Option<&Datagrams> {
        match via {
            Via::Door(family) => self.doors.get(family),
            Via::Relayed(key, family) => self.allocations.get(key)?.relayed.get(family)?.socket.datagrams(),
        }
    }

    /// The relayed address of an allocation, if it is one of TCP.
    pub(crate) fn listening(&self, key: usize, family: Family) -> Option<&Listening> {
        self.allocations.get(key)?.relayed.get(family)?.socket.listening()
    }

    /// A client has left. What it held ends, or waits with its ticket for as long as it lives (RFC 8016).
    pub(crate) fn forget_client(&mut self, client: Client) {
        let Some(key) = self.held_by.remove(&client) else { return };
        if self.allocations.get(key).is_some_and(|allocation| allocation.ticket.is_none()) {
            self.end(key);
        }
    }

    /// Ends all allocations of a participant.
    pub(crate) fn send_away(&mut self, participant: &Participant) {
        let held =
            |(key, allocation): (usize, &Allocation)| (allocation.participant == *participant).then_some(key);
        let ended: Vec<usize> = self.allocations.iter().filter_map(held).collect();
        for key in ended {
            self.end(key);
        }
    }

    /// Ends what has expired.
    pub(crate) fn sweep(&mut self) {
        let now = self.now;
        let expired =
            |(key, allocation): (usize, &mut Allocation)| (!allocation.lives_at(now)).then_some(key);
        let ended: Vec<usize> = self.allocations.iter_mut().filter_map(expired).collect();
        for key in ended {
            self.end(key);
        }
        self.host.reservations.sweep(now);
        self.host.connections.pending.sweep(now);
        if self.allocations.is_empty() {
            self.let_memory_go();
        }
    }

    /// After many allocations, what they took goes back.
    fn let_memory_go(&mut self) {
        let were_many = self.allocations.capacity() >= limits::MANY;
        self.allocations.shrink_to_fit();
        self.held_by.shrink_to_fit();
        self.host.meters.sweep(self.host.age(self.now));
        if were_many {
            memory::give_back();
        }
    }

    pub(crate) fn end(&mut self, key: usize) {
        // The next allocation may get this one's key, and must not get its datagrams.
        self.flush();
        if let Some(allocation) = self.allocations.try_remove(key) {
            self.held_by.remove(&allocation.caller.client());
        }
    }

    /// Whether there is nothing that could expire, and no memory that is to go back.
    pub(crate) fn is_idle(&self) -> bool {
        let Host { reservations, connections, meters, .. } = &*self.host;
        let is_empty = reservations.is_empty() && connections.pending.is_empty() && meters.is_empty();
        self.allocations.capacity() == 0 && is_empty
    }
}

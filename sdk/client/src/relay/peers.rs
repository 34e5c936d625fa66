//! Who is reached through an allocation: each peer by a channel, which also lets its data in (RFC 8656 §9 and §12).
//!
//! The first datagram to a peer has its channel asked for, and waits with those that follow until it is there; they leave
//! in their order. A channel is asked for again before the relay forgets the permission that came with it, as
//! long as it is used. Numbers are given out once: the relay binds none to another peer for a while.

use core::{net::SocketAddr, ops::Range};
use std::time::Instant;

use super::wire::{CHANNELS, write_channel_data};
use crate::limits;

/// See the module.
#[derive(Debug)]
pub(super) struct Peers {
    known: Vec<Peer>,
    numbers: Range<u16>,
    /// Datagrams that wait, of all peers.
    waiting: usize,
}

#[derive(Debug)]
struct Peer {
    addr: SocketAddr,
    channel: u16,
    standing: Standing,
    waiting: Vec<Vec<u8>>,
    /// Since its channel was asked for last.
    used: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Its channel is asked for.
    Asked,
    /// It has one; when to ask for it again, if that is not under way.
    Bound { again: Option<Instant> },
    /// The relay does not want it.
    Refused { until: Instant },
}

/// What becomes of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// It is written, and to be sent.
    Now,
    /// It waits for its peer's channel.
    Later,
    /// It is the first to its peer, whose channel is to be asked for.
    First,
    /// There is no way.
    Lost,
}

impl Peers {
    pub(super) const fn new() -> Self {
        Self { known: Vec::new(), numbers: CHANNELS, waiting: 0 }
    }

    /// Writes a datagram to a peer, or keeps it: until its peer's channel is there, or all that waits may leave.
    pub(super) fn send(
        &mut self,
        data: &[u8],
        to: SocketAddr,
        (out, now): (&mut Vec<u8>, Instant),
        all_wait: bool,
    ) -> Sending {
        let has_room = self.waiting < limits::DATAGRAMS;
        let Some(peer) = self.known.iter_mut().find(|peer| peer.addr == to) else {
            return if has_room { self.welcome(data, to) } else { Sending::Lost };
        };
        peer.used = true;
        let sending = match peer.standing {
            Standing::Bound { .. } if !all_wait => {
                return write_channel_data(out, peer.channel, data).map_or(Sending::Lost, |()| Sending::Now);
            }
            Standing::Bound { .. } | Standing::Asked => Sending::Later,
            Standing::Refused { until } if now < until => Sending::Lost,
            Standing::Refused { .. } => Sending::First,
        };
        if sending == Sending::Lost || !has_room {
            return Sending::Lost;
        }
        if sending == Sending::First {
            peer.standing = Standing::Asked;
        }
        peer.waiting.push(data.to_vec());
        self.waiting += 1;
        sending
    }

    /// The first datagram to this one.
    fn welcome(&mut self, data: &[u8], addr: SocketAddr) -> Sending {
        if self.known.len() >= limits::RELAY_PEERS {
            self.known.retain(|peer| !matches!(peer.standing, Standing::Refused { .. }));
        }
        if self.known.len() >= limits::RELAY_PEERS {
            return Sending::Lost;
        }
        let Some(channel) = self.numbers.next() else { return Sending::Lost };
        let waiting = vec![data.to_vec()];
        self.waiting += 1;
        self.known.push(Peer { addr, channel, standing: Standing::Asked, waiting, used: true });
        Sending::First
    }

    pub(super) fn channel(&self, of: SocketAddr) -> Option<u16> {
        self.known.iter().find(|peer| peer.addr == of).map(|peer| peer.channel)
    }

    /// Whose channel that is.
    pub(super) fn heard(&mut self, channel: u16) -> Option<SocketAddr> {
        let peer = self.known.iter_mut().find(|peer| peer.channel == channel)?;
        peer.used = true;
        Some(peer.addr)
    }

    /// Its channel is there.
    pub(super) fn bound(&mut self, addr: SocketAddr, now: Instant) {
        if let Some(peer) = self.of(addr) {
            peer.standing = Standing::Bound { again: Some(now + limits::TURN_CHANNEL) };
            peer.used = false;
        }
    }

    /// The relay does not want it, or does not say.
    pub(super) fn not_bound(&mut self, addr: SocketAddr, now: Instant) {
        let Some(peer) = self.of(addr) else { return };
        let again = now + limits::TURN_AGAIN;
        peer.standing = match peer.standing {
            Standing::Bound { .. } => Standing::Bound { again: Some(again) },
            Standing::Asked | Standing::Refused { .. } => Standing::Refused { until: again },
        };
        if let Standing::Refused { .. } = peer.standing {
            let lost = core::mem::take(&mut peer.waiting).len();
            self.waiting -= lost;
        }
    }

    /// What waited for nothing but a channel that is there by now, written.
    pub(super) fn released(&mut self) -> Vec<Vec<u8>> {
        let mut released = Vec::new();
        for peer in &mut self.known {
            let Standing::Bound { .. } = peer.standing else { continue };
            self.waiting -= peer.waiting.len();
            released.extend(peer.waiting.drain(..).filter_map(|data| {
                let mut message = Vec::with_capacity(data.len() + 4);
                write_channel_data(&mut message, peer.channel, &data).map(|()| message)
            }));
        }
        released
    }

    /// Whose channels are to be asked for after the client has come elsewhere: what was asked is not answered.
    pub(super) fn unanswered(&mut self, now: Instant) -> Vec<SocketAddr> {
        for peer in &mut self.known {
            if let Standing::Bound { again } = &mut peer.standing {
                again.get_or_insert(now);
            }
        }
        self.known.iter().filter(|peer| peer.standing == Standing::Asked).map(|peer| peer.addr).collect()
    }

    /// Whose channel is to be asked for again; those that nobody has used are let go.
    pub(super) fn due(&mut self, now: Instant) -> Option<SocketAddr> {
        self.known.retain(|peer| peer.used || !peer.is_due(now));
        let peer = self.known.iter_mut().find(|peer| peer.is_due(now))?;
        peer.standing = Standing::Bound { again: None };
        Some(peer.addr)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.known.iter().filter_map(Peer::again).min()
    }

    pub(super) const fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    fn of(&mut self, addr: SocketAddr) -> Option<&mut Peer> {
        self.known.iter_mut().find(|peer| peer.addr == addr)
    }
}

impl Peer {
    const fn again(&self) -> Option<Instant> {
        match self.standing {
            Standing::Bound { again } => again,
            Standing::Asked | Standing::Refused { .. } => None,
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.again().is_some_and(|again| again <= now)
    }
}

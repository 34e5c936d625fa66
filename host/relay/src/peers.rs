//! Whom one allocation may exchange datagrams with: permissions and channels (RFC 8656 §9, §12).
//!
//! Few enough to be looked through one by one, which for one or two of them is quicker than any table.

use std::net::{IpAddr, SocketAddr};

use tokio::time::Instant;

use crate::{limits, refusal::Refusal};

#[derive(Debug, Default)]
pub(crate) struct Peers {
    permissions: Vec<Permission>,
    channels: Vec<Channel>,
}

/// Leave to send to an address, and to receive from it.
#[derive(Debug)]
struct Permission {
    peer: IpAddr,
    until: Instant,
}

/// A number that stands for a peer.
#[derive(Debug)]
struct Channel {
    number: u16,
    peer: SocketAddr,
    until: Instant,
}

impl Peers {
    /// Whether datagrams to and from an address pass.
    pub(crate) fn are_permitted(&self, peer: IpAddr, now: Instant) -> bool {
        self.permissions.iter().any(|permission| permission.peer == peer && permission.until > now)
    }

    /// The peer that a channel stands for.
    pub(crate) fn of_channel(&self, number: u16, now: Instant) -> Option<SocketAddr> {
        let channel = self.channels.iter().find(|channel| channel.number == number)?;
        (channel.until > now).then_some(channel.peer)
    }

    /// The channel that stands for a peer.
    pub(crate) fn channel_to(&self, peer: SocketAddr, now: Instant) -> Option<u16> {
        let channel = self.channels.iter().find(|channel| channel.peer == peer)?;
        (channel.until > now).then_some(channel.number)
    }

    /// Permits all of these, or none.
    pub(crate) fn permit(&mut self, peers: &[SocketAddr], now: Instant) -> Result<(), Refusal> {
        self.forget_expired(now);
        let mut new: Vec<IpAddr> = peers.iter().map(SocketAddr::ip).collect();
        new.sort_unstable();
        new.dedup();
        new.retain(|peer| !self.permissions.iter().any(|permission| permission.peer == *peer));
        if self.permissions.len() + new.len() > limits::PEERS {
            return Err(Refusal::InsufficientCapacity);
        }
        self.permissions.extend(new.into_iter().map(|peer| Permission { peer, until: now }));
        let asked = |permission: &&mut Permission| peers.iter().any(|peer| peer.ip() == permission.peer);
        for permission in self.permissions.iter_mut().filter(asked) {
            permission.until = now + limits::PERMISSION_LIFE;
        }
        Ok(())
    }

    /// Lets a number stand for a peer, and permits it. Neither may have another partner already.
    pub(crate) fn bind(&mut self, number: u16, peer: SocketAddr, now: Instant) -> Result<(), Refusal> {
        self.forget_expired(now);
        let until = now + limits::CHANNEL_LIFE;
        let clash = |channel: &Channel| (channel.number == number) != (channel.peer == peer);
        if self.channels.iter().any(clash) {
            return Err(Refusal::BadRequest);
        }
        let bound = self.channels.iter().position(|channel| channel.number == number);
        if bound.is_none() && self.channels.len() >= limits::PEERS {
            return Err(Refusal::InsufficientCapacity);
        }
        self.permit(&[peer], now)?;
        match bound.and_then(|bound| self.channels.get_mut(bound)) {
            Some(channel) => channel.until = until,
            None => self.channels.push(Channel { number, peer, until }),
        }
        Ok(())
    }

    fn forget_expired(&mut self, now: Instant) {
        self.permissions.retain(|permission| permission.until > now);
        self.channels.retain(|channel| channel.until > now);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn rel_4_a_permission_is_for_all_ports_of_an_address_and_ends_after_five_minutes() {
        let (mut peers, now) = (Peers::default(), Instant::now());
        peers.permit(&[addr("192.0.2.1:1"), addr("192.0.2.1:2")], now).unwrap();
        assert!(peers.are_permitted("192.0.2.1".parse().unwrap(), now + Duration::from_secs(299)));
        assert!(!peers.are_permitted("192.0.2.1".parse().unwrap(), now + Duration::from_mins(5)));
        assert!(!peers.are_permitted("192.0.2.2".parse().unwrap(), now));
    }

    #[test]
    fn rel_3_a_channel_stands_for_one_peer_and_permits_it() {
        let (mut peers, now) = (Peers::default(), Instant::now());
        let (bob, carol) = (addr("192.0.2.1:1"), addr("192.0.2.1:2"));
        peers.bind(0x4000, bob, now).unwrap();
        assert_eq!(peers.bind(0x4000, carol, now), Err(Refusal::BadRequest), "the number is taken");
        assert_eq!(peers.bind(0x4001, bob, now), Err(Refusal::BadRequest), "the peer has a number");
        assert_eq!((peers.of_channel(0x4000, now), peers.channel_to(bob, now)), (Some(bob), Some(0x4000)));
        assert!(peers.are_permitted(bob.ip(), now));

        let late = now + Duration::from_mins(9);
        assert!(!peers.are_permitted(bob.ip(), late), "a permission ends before its channel");
        peers.bind(0x4000, bob, late).unwrap();
        assert!(peers.are_permitted(bob.ip(), late));
        assert_eq!(peers.of_channel(0x4000, late + Duration::from_mins(10)), None);
        peers.bind(0x4000, carol, late + Duration::from_mins(10)).unwrap();
    }

    #[test]
    fn rel_4_an_allocation_has_room_for_some_peers_and_not_for_a_network() {
        let (mut peers, now) = (Peers::default(), Instant::now());
        let peer = |last: u8| SocketAddr::new([203, 0, 113, last].into(), 9);
        assert!((0..64).all(|last| peers.permit(&[peer(last)], now).is_ok()));
        assert_eq!(peers.permit(&[peer(1), peer(64)], now), Err(Refusal::InsufficientCapacity));
        assert_eq!(peers.permit(&[peer(7)], now), Ok(()), "again");
        assert_eq!(
            peers.permit(&[peer(64)], now + Duration::from_mins(5)),
            Ok(()),
            "the others have expired"
        );
    }
}

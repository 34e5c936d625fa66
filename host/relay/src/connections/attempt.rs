//! Peers that connect to a relayed address (RFC 6062 §5.3): the client is told of those that it has permitted, in
//! `ConnectionAttempt` indications. The others find a door that closes.

use std::{io, net::SocketAddr};

use mio::net::TcpStream;
use switchhook_core::stun::Writer;
use tokio::net::TcpStream as Stream;

use super::pending::{ConnectionId, PeerConnection};
use crate::{
    clients::Caller,
    family::Family,
    limits,
    relaying::Relaying,
    transport::Transport,
    wire::{attribute, message_type},
};

impl Relaying {
    /// Lets in who waits at a relayed address, at most so many that others have their turn; whether more may wait.
    pub(crate) fn let_in(&mut self, key: usize, family: Family) -> bool {
        for _ in 0..limits::PEERS_AT_ONCE {
            let Some(listening) = self.listening(key, family) else { return false };
            match listening.accept() {
                Ok((stream, from)) => {
                    if self.admit((key, family), stream, from).is_none() {
                        self.host.metrics.peer_connections_refused.inc();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // Without a file for it the peer waits until the next one comes.
                Err(_) => return false,
            }
        }
        true
    }

    /// Has a peer's connection wait for the client, and tells the client.
    fn admit(&mut self, (key, family): (usize, Family), stream: TcpStream, from: SocketAddr) -> Option<()> {
        let peer = self.host.filter.from(from, Transport::Tcp)?;
        let allocation = self.allocations.get(key)?;
        if !allocation.peers.are_permitted(peer.ip(), self.now) {
            return None;
        }
        let caller = allocation.caller.clone();
        let link = self.listening(key, family)?.links().take(peer).ok()?;
        let stream = Stream::from_std(stream.into())
            .inspect_err(|error| tracing::debug!(%error, "a peer's connection cannot be waited for"))
            .ok()?;
        let id = self.host.connections.pending.keep(PeerConnection { stream, link }, self.now);
        self.announce(&caller, peer, id);
        Some(())
    }

    /// With the answers, not with data: it is said once.
    fn announce(&mut self, caller: &Caller, peer: SocketAddr, id: ConnectionId) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut writer = Writer::new(&mut scratch, message_type::CONNECTION_ATTEMPT, rand::random());
        writer.xor_address(attribute::XOR_PEER_ADDRESS, peer);
        writer.attribute(attribute::CONNECTION_ID, &id);
        self.answer(caller, &scratch);
        self.scratch = scratch;
    }
}

//! The Connect request (RFC 6062 §5.2).
//!
//! It is judged on the shard, and answered by a task when the peer has answered or has not in time. A client that goes on
//! asking gets no more than it can use: so many half-open at a time, so many of all, and so many in a second, since
//! whoever connects to very many looks for open ports.

use std::{net::SocketAddr, sync::Arc};

use switchhook_core::stun::Message;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout},
};

use super::{links::Link, pending::PeerConnection, room::Place};
use crate::{
    answer::Answer, clients::Stream, control::Asked, family::Family, gate::Visitor, host::Host, limits,
    refusal::Refusal, relaying::Relaying, request::peers, transport::Transport,
};

/// A connection to a peer that is about to be.
struct Dial {
    socket: TcpSocket,
    to: SocketAddr,
    link: Link,
    /// Among those that are not answered yet: of the relayed address, and of the relay.
    _places: [Place; 2],
}

/// A request that is answered later.
struct Open {
    stream: Arc<Stream>,
    request: Vec<u8>,
    visitor: Arc<Visitor>,
}

impl Relaying {
    /// Begins to connect to the peer that a request names.
    pub(crate) fn connect(&self, key: usize, asked: &Asked<'_>) -> Result<(), Refusal> {
        let stream = asked.caller.stream.as_ref().ok_or(Refusal::BadRequest)?;
        let peers = peers(asked.request).ok_or(Refusal::BadRequest)?;
        let [peer] = *peers.as_slice() else { return Err(Refusal::BadRequest) };
        self.check_peers(key, &[peer])?;
        let dial = self.dial(key, peer, asked.visitor)?;
        let (stream, visitor) = (Arc::clone(stream), Arc::clone(asked.visitor));
        let open = Open { stream, request: asked.bytes.to_vec(), visitor };
        let host = Arc::clone(&self.host);
        self.host.tracker.spawn(async move {
            let links = Arc::clone(dial.link.links());
            // With the relayed address its client has left, too.
            if let Some(outcome) = links.ended.run_until_cancelled(dial.run(&host)).await {
                open.answer(&host, outcome);
            }
        });
        Ok(())
    }

    fn dial(&self, key: usize, peer: SocketAddr, visitor: &Visitor) -> Result<Dial, Refusal> {
        let Self { host, .. } = self;
        let listening = self.listening(key, Family::of(peer.ip())).ok_or(Refusal::AllocationMismatch)?;
        let to = host.filter.towards(peer, Transport::Tcp).ok_or(Refusal::Forbidden)?;
        if peer.port() < limits::FIRST_PORT {
            return Err(Refusal::Forbidden);
        }
        let links = listening.links();
        let link = links.take(peer)?;
        if !host.connections.may_connect(&visitor.participant, host.age(self.now)) {
            return Err(Refusal::InsufficientCapacity);
        }
        let full = Refusal::InsufficientCapacity;
        let places = [links.dialling.take().ok_or(full)?, host.connections.dialling.take().ok_or(full)?];
        let socket = listening.dialler().map_err(|error| {
            tracing::debug!(%error, "no socket to connect to a peer");
            Refusal::InsufficientCapacity
        })?;
        Ok(Dial { socket, to, link, _places: places })
    }
}

impl Dial {
    async fn run(self, host: &Host) -> Result<Answer, Refusal> {
        let Self { socket, to, link, _places } = self;
        let stream = connected(socket, to).await.ok_or(Refusal::ConnectionFailed)?;
        let connection = PeerConnection { stream, link };
        Ok(Answer::Connected(host.connections.pending.keep(connection, Instant::now())))
    }
}

async fn connected(socket: TcpSocket, to: SocketAddr) -> Option<TcpStream> {
    let connected = timeout(limits::CONNECT, socket.connect(to)).await.ok()?;
    connected.inspect_err(|error| tracing::trace!(%error, "a peer is not reached")).ok()
}

impl Open {
    fn answer(&self, host: &Host, outcome: Result<Answer, Refusal>) {
        let Ok(request) = Message::parse(&self.request) else { return };
        let mut out = Vec::new();
        match outcome {
            Ok(answer) => answer.write(&mut out, &request, &self.visitor),
            Err(refusal) => {
                host.refuse(&mut out, &request, self.stream.from, (refusal, Some(&self.visitor)));
            }
        }
        self.stream.answer(&out);
    }
}

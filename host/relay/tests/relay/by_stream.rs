//! A client over TCP that says exactly what a test wants it to say.

use std::{net::SocketAddr, time::Duration};

use switchhook_core::stun::attribute as stun_attribute;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::{
    by_hand::{ALLOCATE, ByHand, PEER, RELAYED, Said, UDP},
    running::{GUARD, Running},
};

pub(crate) struct Stream {
    pub(crate) tcp: TcpStream,
    /// Writes the requests; its socket is not used.
    pub(crate) hand: ByHand,
}

impl Stream {
    pub(crate) async fn connected(running: &Running, device: &str, socket: TcpSocket) -> Self {
        let hand = ByHand::new(running, running.credentials("s1", device)).await;
        Self { tcp: socket.connect(running.relay.addr()).await.unwrap(), hand }
    }

    /// What the relay says to a client that does not know its nonce.
    pub(crate) async fn challenge(&mut self) -> Said {
        let unsigned = self.hand.write(ALLOCATE, &[UDP], |_| ());
        self.write(&unsigned).await;
        let challenged = self.read().await;
        assert_eq!(challenged.outcome(), Err(401));
        challenged
    }

    /// A client that knows realm and nonce.
    pub(crate) async fn greeted(running: &Running, device: &str) -> Self {
        let mut client = Self::connected(running, device, TcpSocket::new_v4().unwrap()).await;
        client.hand.nonce = client.challenge().await.value(stun_attribute::NONCE);
        client
    }

    /// A client that holds an allocation, and its relayed address.
    pub(crate) async fn allocated(running: &Running, device: &str) -> (Self, SocketAddr) {
        Self::allocated_by(running, device, UDP).await
    }

    /// The same, of such a transport.
    pub(crate) async fn allocated_by(
        running: &Running,
        device: &str,
        transport: (u16, &[u8]),
    ) -> (Self, SocketAddr) {
        let mut client = Self::greeted(running, device).await;
        let said = client.ask(ALLOCATE, &[transport]).await;
        assert_eq!(said.outcome(), Ok(()));
        (client, said.address(RELAYED))
    }

    pub(crate) async fn ask(&mut self, kind: u16, attributes: &[(u16, &[u8])]) -> Said {
        let request = self.hand.signed(kind, attributes);
        self.write(&request).await;
        self.read().await
    }

    /// The same about a peer.
    pub(crate) async fn ask_about(&mut self, kind: u16, peer: SocketAddr) -> Said {
        let value = self.hand.peer(&peer.to_string());
        self.ask(kind, &[(PEER, &value)]).await
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.tcp.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn read(&mut self) -> Said {
        let mut message = vec![0; 20];
        timeout(GUARD, self.tcp.read_exact(&mut message)).await.expect("an answer").unwrap();
        let length = usize::from(u16::from_be_bytes([message[2], message[3]]));
        message.resize(20 + length, 0);
        timeout(GUARD, self.tcp.read_exact(&mut message[20..])).await.expect("the rest").unwrap();
        Said(message)
    }
}

/// Time passes for the relay.
pub(crate) async fn pass(duration: Duration) {
    tokio::time::pause();
    tokio::time::advance(duration).await;
    tokio::time::resume();
}

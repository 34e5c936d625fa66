//! Allocations of TCP (RFC 6062), by hand: what goes through them.

use std::net::SocketAddr;

use switchhook_core::{seal::RootKeys, stun::attribute as stun_attribute};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket, TcpStream, UdpSocket},
    time::timeout,
};
use tokio_util::task::TaskTracker;

use crate::{
    by_hand::{
        CONNECT, CONNECTION_ATTEMPT, CONNECTION_BIND, CONNECTION_ID, CREATE_PERMISSION, DATA, PEER, SEND,
        Said, TCP,
    },
    by_stream::Stream,
    running::{GUARD, Running},
};

/// More than stands in the kernel's buffers.
const MUCH: usize = 16 * 1024 * 1024;

/// REL-3.tcp
#[tokio::test]
async fn rel_3_a_client_connects_to_a_peer_and_nothing_that_either_says_is_lost() {
    let running = with_peers_beside().await;
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut client, relayed) = Stream::allocated_by(&running, "d1", TCP).await;

    let said = client.ask_about(CONNECT, peer.local_addr().unwrap()).await;
    assert_eq!(said.outcome(), Ok(()));
    let (mut far, from) = accepted(&peer).await;
    assert_eq!(from, relayed);
    far.write_all(b"before").await.unwrap();

    let mut near = joined(&running, "d1", &said.value(CONNECTION_ID)).await;
    assert_eq!(read(&mut near, 6).await, b"before");
    near.write_all(b"\0\x01 no message \x40").await.unwrap();
    assert_eq!(read(&mut far, 15).await, b"\0\x01 no message \x40");

    // The end of what one side says is told to the other, which goes on.
    near.shutdown().await.unwrap();
    assert_eq!(rest(&mut far).await, b"");
    far.write_all(b"after").await.unwrap();
    drop(far);
    assert_eq!(rest(&mut near).await, b"after");
    let metrics = running.counted().await;
    assert_eq!((metrics.to_peer_bytes.get(), metrics.from_peer_bytes.get()), (15, 11));
    assert_eq!((metrics.peer_connections.get(), metrics.peer_connections_joined.get()), (0, 1));
}

/// REL-3.tcp
#[tokio::test]
async fn rel_3_a_permitted_peer_connects_and_its_client_is_told() {
    let running = with_peers_beside().await;
    let (mut client, relayed) = Stream::allocated_by(&running, "d1", TCP).await;
    let stranger = &mut TcpStream::connect(relayed).await.unwrap();
    ended(stranger).await;

    let permitted = client.ask_about(CREATE_PERMISSION, "127.0.0.1:9".parse().unwrap()).await;
    assert_eq!(permitted.outcome(), Ok(()));
    let mut far = TcpStream::connect(relayed).await.unwrap();
    far.write_all(b"hello").await.unwrap();
    let told = client.read().await;
    assert_eq!((told.kind(), told.address(PEER)), (CONNECTION_ATTEMPT, far.local_addr().unwrap()));
    let mut near = joined(&running, "d1", &told.value(CONNECTION_ID)).await;
    assert_eq!(read(&mut near, 5).await, b"hello");
    near.write_all(b"you").await.unwrap();
    drop(near);
    assert_eq!(rest(&mut far).await, b"you");
    assert_eq!(running.counted().await.peer_connections_refused.get(), 1);
}

/// REL-3.tcp, REL-4.one-host
#[tokio::test]
async fn rel_3_two_clients_meet_at_their_relayed_addresses_and_by_no_other_port_of_the_relay() {
    let running = Running::start_with(RootKeys::new([1; 32], []), |config| config.tcp_allocations = true);
    let running = running.await;
    let (mut alice, hers) = Stream::allocated_by(&running, "d1", TCP).await;
    let (mut bob, his) = Stream::allocated_by(&running, "d2", TCP).await;
    assert_eq!(bob.ask_about(CREATE_PERMISSION, hers).await.outcome(), Ok(()));
    let beside = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = alice.ask_about(CONNECT, beside.local_addr().unwrap()).await;
    assert_eq!(refused.outcome(), Err(403));

    let said = alice.ask_about(CONNECT, his).await;
    assert_eq!(said.outcome(), Ok(()));
    let told = bob.read().await;
    assert_eq!((told.kind(), told.address(PEER)), (CONNECTION_ATTEMPT, hers));
    let mut one = joined(&running, "d1", &said.value(CONNECTION_ID)).await;
    let mut other = joined(&running, "d2", &told.value(CONNECTION_ID)).await;
    one.write_all(b"ping").await.unwrap();
    assert_eq!(read(&mut other, 4).await, b"ping");
    other.write_all(b"pong").await.unwrap();
    assert_eq!(read(&mut one, 4).await, b"pong");
    running.stop().await;
}

/// REL-3.tcp
#[tokio::test]
async fn rel_3_who_does_not_read_holds_up_who_writes_and_nobody_else() {
    let running = with_peers_beside().await;
    let (mut client, _) = Stream::allocated_by(&running, "d1", TCP).await;
    let (mut near, mut far) = pair(&running, &mut client).await;
    let (mut other_near, mut other_far) = pair(&running, &mut client).await;
    let writing = TaskTracker::new().spawn(async move {
        near.write_all(&vec![7; MUCH]).await.unwrap();
        near
    });
    other_near.write_all(b"hello").await.unwrap();
    assert_eq!(read(&mut other_far, 5).await, b"hello");
    assert!(!writing.is_finished());

    far.write_all(b"still here").await.unwrap();
    assert!(read(&mut far, MUCH).await.iter().all(|byte| *byte == 7));
    let mut near = timeout(GUARD, writing).await.expect("it is read").unwrap();
    assert_eq!(read(&mut near, 10).await, b"still here");
    running.stop().await;
}

/// REL-3.tcp
#[tokio::test]
async fn by_an_allocation_of_tcp_no_datagram_goes() {
    let running = with_peers_beside().await;
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let addr = peer.local_addr().unwrap();
    let (mut client, _) = Stream::allocated_by(&running, "d1", TCP).await;
    assert_eq!(client.ask_about(CREATE_PERMISSION, addr).await.outcome(), Ok(()));
    let value = client.hand.peer(&addr.to_string());
    let indication = client.hand.write(SEND, &[(PEER, &value), (DATA, b"lost")], |_| ());
    client.write(&indication).await;
    assert_eq!(client.ask_about(CREATE_PERMISSION, addr).await.outcome(), Ok(()), "it goes on");
    assert_eq!(running.counted().await.to_peer_packets.get(), 0);
}

/// A relay that connects to peers on loopback.
pub(crate) async fn with_peers_beside() -> Running {
    Running::start_with(RootKeys::new([1; 32], []), |config| {
        config.peers.allow_loopback = true;
        config.tcp_allocations = true;
    })
    .await
}

/// A connection of a client with a peer: its stream, and the peer's.
pub(crate) async fn pair(running: &Running, client: &mut Stream) -> (TcpStream, TcpStream) {
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let said = client.ask_about(CONNECT, peer.local_addr().unwrap()).await;
    assert_eq!(said.outcome(), Ok(()));
    let (far, _) = accepted(&peer).await;
    (joined(running, "d1", &said.value(CONNECTION_ID)).await, far)
}

/// A new stream of a device's, joined with a connection that waits.
async fn joined(running: &Running, device: &str, id: &[u8]) -> TcpStream {
    let (stream, said) = bind(running, device, id).await;
    assert_eq!(said.outcome(), Ok(()));
    stream.tcp
}

/// A new stream of a device's that asks to be joined, and what it is answered.
pub(crate) async fn bind(running: &Running, device: &str, id: &[u8]) -> (Stream, Said) {
    let mut stream = Stream::connected(running, device, TcpSocket::new_v4().unwrap()).await;
    let said = stream.ask(CONNECTION_BIND, &[(CONNECTION_ID, id)]).await;
    assert_eq!(said.outcome(), Err(438), "nonces are bound to addresses");
    stream.hand.nonce = said.value(stun_attribute::NONCE);
    let said = stream.ask(CONNECTION_BIND, &[(CONNECTION_ID, id)]).await;
    (stream, said)
}

pub(crate) async fn accepted(peer: &TcpListener) -> (TcpStream, SocketAddr) {
    timeout(GUARD, peer.accept()).await.expect("a connection").unwrap()
}

async fn read(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    timeout(GUARD, stream.read_exact(&mut bytes)).await.expect("bytes").unwrap();
    bytes
}

async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    timeout(GUARD, stream.read_to_end(&mut bytes)).await.expect("the end").unwrap();
    bytes
}

/// Closed, or reset because something was left unread.
pub(crate) async fn ended(stream: &mut TcpStream) {
    let mut said = Vec::new();
    _ = timeout(GUARD, stream.read_to_end(&mut said)).await.expect("the end");
    assert_eq!(said, b"");
}

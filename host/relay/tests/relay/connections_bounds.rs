//! What clients of allocations of TCP may not do too much of.

use std::{net::SocketAddr, time::Duration};

use rustix::net::{AddressFamily, SocketType, bind, listen};
use switchhook_core::{rate::Rate, seal::RootKeys};
use switchhook_relay::Bandwidth;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::timeout,
};

use crate::{
    by_hand::{ALLOCATE, CONNECT, PEER, TCP},
    by_stream::{Stream, pass},
    connections::{pair, with_peers_beside},
    running::{GUARD, Running},
};

/// REL-3.tcp
#[tokio::test]
async fn rel_3_peers_that_never_answer_are_waited_for_a_few_at_a_time_and_not_for_ever() {
    let running = with_peers_beside().await;
    let (mut client, _) = Stream::allocated_by(&running, "d1", TCP).await;
    let deaf: Vec<Deaf> = (0..9).map(|_| Deaf::new()).collect();
    for peer in &deaf[..8] {
        let value = client.hand.peer(&peer.addr.to_string());
        let request = client.hand.signed(CONNECT, &[(PEER, &value)]);
        client.write(&request).await;
    }
    assert_eq!(client.ask_about(CONNECT, deaf[0].addr).await.outcome(), Err(446));
    assert_eq!(client.ask_about(CONNECT, deaf[8].addr).await.outcome(), Err(508));

    pass(Duration::from_secs(31)).await;

    for _ in 0..8 {
        assert_eq!(client.read().await.outcome(), Err(447));
    }
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    assert_eq!(client.ask_about(CONNECT, peer.local_addr().unwrap()).await.outcome(), Ok(()));
    running.stop().await;
}

/// REL-3.tcp
#[tokio::test]
async fn rel_3_who_looks_for_open_ports_is_stopped_and_others_connect() {
    let running = with_peers_beside().await;
    let (mut scanner, _) = Stream::allocated_by(&running, "d1", TCP).await;
    let (mut client, _) = Stream::allocated_by(&running, "d2", TCP).await;
    let mut outcomes = Vec::new();
    for port in 1_024..2_024 {
        outcomes.push(scanner.ask_about(CONNECT, ([127, 0, 0, 1], port).into()).await.outcome());
        if outcomes.last() == Some(&Err(508)) {
            break;
        }
    }
    assert!(outcomes.len() > 32 && outcomes.len() < 1_000, "{}", outcomes.len());

    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = peer.local_addr().unwrap();
    assert_eq!(client.ask_about(CONNECT, addr).await.outcome(), Ok(()));
    running.stop().await;
}

/// REL-3.tcp
#[tokio::test]
async fn rel_3_beyond_its_bandwidth_a_stream_is_slower_and_whole() {
    let each_session = Rate { burst: 50_000, per_second: 50_000 };
    let running = Running::start_with(RootKeys::new([1; 32], []), |config| {
        config.peers.allow_loopback = true;
        config.tcp_allocations = true;
        config.bandwidth = Bandwidth { each_session, ..Bandwidth::default() };
    })
    .await;
    let (mut client, _) = Stream::allocated_by(&running, "d1", TCP).await;
    let (mut near, mut far) = pair(&running, &mut client).await;
    let sent: Vec<u8> = (0..150_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    near.write_all(&sent).await.unwrap();
    near.shutdown().await.unwrap();
    let mut came = Vec::new();
    timeout(GUARD, far.read_to_end(&mut came)).await.expect("the end").unwrap();
    assert_eq!(came, sent);
    assert_eq!(running.counted().await.limited_packets.get(), 0);
}

/// REL-3.tcp
#[tokio::test]
async fn rel_3_an_allocation_whose_connections_are_in_use_does_not_give_way() {
    let running = Running::start_with(RootKeys::new([1; 32], []), |config| {
        config.peers.allow_loopback = true;
        config.tcp_allocations = true;
        config.quota.each_participant = 1;
    })
    .await;
    let (mut client, _) = Stream::allocated_by(&running, "d1", TCP).await;
    let (mut near, mut far) = pair(&running, &mut client).await;

    pass(Duration::from_secs(31)).await;
    near.write_all(b"x").await.unwrap();
    timeout(GUARD, far.read_exact(&mut [0])).await.expect("a byte").unwrap();
    let mut newer = Stream::greeted(&running, "d1").await;
    assert_eq!(newer.ask(ALLOCATE, &[TCP]).await.outcome(), Err(486));

    pass(Duration::from_secs(31)).await;
    let mut newest = Stream::greeted(&running, "d1").await;
    assert_eq!(newest.ask(ALLOCATE, &[TCP]).await.outcome(), Ok(()), "it is silent by all ways");
    running.stop().await;
}

/// A peer that listens, and has no room for another connection: the system drops what asks for one.
struct Deaf {
    addr: SocketAddr,
    _listener: std::net::TcpListener,
    _first: std::net::TcpStream,
}

impl Deaf {
    fn new() -> Self {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        bind(&socket, &"127.0.0.1:0".parse::<SocketAddr>().unwrap()).unwrap();
        listen(&socket, 0).unwrap();
        let listener = std::net::TcpListener::from(socket);
        let addr = listener.local_addr().unwrap();
        Self { addr, _first: std::net::TcpStream::connect(addr).unwrap(), _listener: listener }
    }
}

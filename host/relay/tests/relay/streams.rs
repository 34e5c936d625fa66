//! Clients that come over TCP, by hand.

use std::time::Duration;

use switchhook_core::{seal::RootKeys, stun::attribute as stun_attribute};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream, UdpSocket},
    time::timeout,
};

use crate::{
    by_hand::{
        ALLOCATE, CHANNEL_BIND, CHANNEL_NUMBER, CREATE_PERMISSION, DATA, LIFETIME, PEER, REFRESH, RELAYED,
        SEND, UDP,
    },
    by_stream::{Stream, pass},
    moves::{MOBILE, TICKET, on_four_shards},
    running::{GUARD, Running},
};

const CHANNEL: [u8; 4] = [0x40, 0x01, 0, 0];

/// REL-3.tcp
#[tokio::test]
async fn data_of_a_stream_reaches_a_peer_and_comes_back_padded() {
    let running = Running::start_with_loopback().await;
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (mut client, relayed) = Stream::allocated(&running, "d1").await;
    let value = client.hand.peer(&peer.local_addr().unwrap().to_string());
    let bound = client.ask(CHANNEL_BIND, &[(CHANNEL_NUMBER, &CHANNEL), (PEER, &value)]).await;
    assert_eq!(bound.outcome(), Ok(()));

    // Two messages in one piece, then one in two pieces: a stream has no borders.
    client.write(b"\x40\x01\0\x05hello\0\0\0\x40\x01\0\x03you\0\x40\x01").await;
    for expected in [&b"hello"[..], b"you"] {
        let mut datagram = [0; 16];
        let (length, from) = timeout(GUARD, peer.recv_from(&mut datagram)).await.expect("data").unwrap();
        assert_eq!((&datagram[..length], from), (expected, relayed));
    }
    client.write(b"\0\x01!\0\0\0").await;
    assert_eq!(timeout(GUARD, peer.recv(&mut [0; 16])).await.expect("data").unwrap(), 1);

    peer.send_to(b"answer", relayed).await.unwrap();
    let mut answer = [0; 12];
    timeout(GUARD, client.tcp.read_exact(&mut answer)).await.expect("data").unwrap();
    assert_eq!(&answer, b"\x40\x01\0\x06answer\0\0");
    running.stop().await;
}

/// REL-3.tcp
#[tokio::test]
async fn what_is_too_long_for_a_datagram_is_lost_and_the_stream_goes_on() {
    let running = Running::start_with_loopback().await;
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (mut client, _) = Stream::allocated(&running, "d1").await;
    let addr = peer.local_addr().unwrap().to_string();
    let value = client.hand.peer(&addr);
    assert_eq!(client.ask(CREATE_PERMISSION, &[(PEER, &value)]).await.outcome(), Ok(()));
    let value = client.hand.peer(&addr);
    let bound = client.ask(CHANNEL_BIND, &[(CHANNEL_NUMBER, &CHANNEL), (PEER, &value)]).await;
    assert_eq!(bound.outcome(), Ok(()));

    // UDP carries 65 507 bytes over IPv4, a channel's header can announce more.
    for (length, arrives) in [(65_535_u16, false), (65_507, true), (65_508, false), (5_000, true)] {
        let data = vec![7; usize::from(length).next_multiple_of(4)];
        client.write(&[&CHANNEL[..2], &length.to_be_bytes(), &data].concat()).await;
        if arrives {
            assert_eq!(received(&peer).await, usize::from(length));
        }
    }
    for (length, arrives) in [(65_508, false), (60_000, true)] {
        let (value, data) = (client.hand.peer(&addr), vec![7; length]);
        let indication = client.hand.write(SEND, &[(PEER, &value), (DATA, &data)], |_| ());
        client.write(&indication).await;
        if arrives {
            assert_eq!(received(&peer).await, length);
        }
    }
    running.stop().await;
}

/// REL-3.tcp
#[tokio::test]
async fn data_on_its_way_when_an_allocation_is_given_up_is_lost_and_the_stream_goes_on() {
    let running = Running::start_with_loopback().await;
    let (mut client, _) = Stream::allocated(&running, "d1").await;
    let given_up = client.ask(REFRESH, &[(LIFETIME, &[0; 4])]).await;
    assert_eq!(given_up.outcome(), Ok(()));

    client.write(b"\x40\x01\0\x05hello\0\0\0").await;

    assert_eq!(client.ask(ALLOCATE, &[UDP]).await.outcome(), Ok(()));
    running.stop().await;
}

/// REL-3.tcp
#[tokio::test]
async fn a_stream_that_ends_takes_its_allocation_with_it() {
    let running = Running::start().await;
    let (first, _) = Stream::allocated(&running, "d1").await;
    let _second = Stream::allocated(&running, "d2").await;
    assert_eq!(running.relay.allocations(), 2);

    drop(first);

    while running.relay.allocations() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(running.relay.metrics().allocations.get(), 1);
    running.stop().await;
}

/// REL-3.tcp
#[tokio::test]
async fn rel_3_an_allocation_with_a_ticket_outlives_its_stream_and_follows_its_client() {
    let running = Running::start_with(RootKeys::new([1; 32], []), on_four_shards).await;
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut client = Stream::connected(&running, "d1", TcpSocket::new_v4().unwrap()).await;
    client.hand.nonce = client.challenge().await.value(stun_attribute::NONCE);
    let said = client.ask(ALLOCATE, &[UDP, MOBILE]).await;
    assert_eq!(said.outcome(), Ok(()));
    let (relayed, mut ticket) = (said.address(RELAYED), said.value(TICKET));
    let value = client.hand.peer(&peer.local_addr().unwrap().to_string());
    let bound = client.ask(CHANNEL_BIND, &[(CHANNEL_NUMBER, &CHANNEL), (PEER, &value)]).await;
    assert_eq!(bound.outcome(), Ok(()));

    // Streams take turns in choosing a shard: each is on another one than the last.
    for _ in 0..4 {
        client.tcp = TcpStream::connect(running.relay.addr()).await.unwrap();
        while running.relay.metrics().streams.get() > 1 {
            tokio::task::yield_now().await;
        }
        assert_eq!(running.relay.allocations(), 1, "it waits");
        client.hand.nonce = client.challenge().await.value(stun_attribute::NONCE);
        let said = client.ask(REFRESH, &[(TICKET, &ticket)]).await;
        assert_eq!(said.outcome(), Ok(()));
        ticket = said.value(TICKET);
        client.write(b"\x40\x01\0\x04data").await;
        assert_eq!(received(&peer).await, 4);
        peer.send_to(b"answer", relayed).await.unwrap();
        let mut answer = [0; 12];
        timeout(GUARD, client.tcp.read_exact(&mut answer)).await.expect("data").unwrap();
        assert_eq!(&answer, b"\x40\x01\0\x06answer\0\0");
    }

    let said = client.ask(REFRESH, &[(LIFETIME, &[0; 4])]).await;
    assert_eq!((said.outcome(), running.relay.allocations()), (Ok(()), 0));
    running.stop().await;
}

/// REL-3.tcp
#[tokio::test]
async fn a_stream_of_something_else_is_ended_and_others_go_on() {
    let running = Running::start().await;
    let (mut good, _) = Stream::allocated(&running, "d1").await;
    for nonsense in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 1, 0, 3, 0, 0, 0, 0], &[0xFF; 64]] {
        let mut bad = TcpStream::connect(running.relay.addr()).await.unwrap();
        bad.write_all(nonsense).await.unwrap();
        let mut said = Vec::new();
        // Closed, or reset because something was left unread: no answer either way.
        _ = timeout(GUARD, bad.read_to_end(&mut said)).await.expect("the end");
        assert_eq!(said, b"");
    }
    let value = good.hand.peer("203.0.113.5:1");
    let refused = good.ask(CHANNEL_BIND, &[(CHANNEL_NUMBER, &CHANNEL), (PEER, &value)]).await;
    assert_eq!(refused.outcome(), Err(403), "still served, and judged by the same rules");
    running.stop().await;
}

/// REL-3.tcp
#[tokio::test]
async fn a_silent_stream_is_ended_unless_it_holds_an_allocation() {
    let running = Running::start().await;
    let (mut holder, _) = Stream::allocated(&running, "d1").await;
    let mut silent = TcpStream::connect(running.relay.addr()).await.unwrap();
    while running.relay.metrics().streams.get() < 2 {
        tokio::task::yield_now().await;
    }
    pass(Duration::from_secs(21)).await;
    assert_eq!(timeout(GUARD, silent.read(&mut [0; 8])).await.expect("the end").unwrap(), 0);
    assert_eq!(running.relay.allocations(), 1);
    let value = holder.hand.peer("203.0.113.5:1");
    let refused = holder.ask(CHANNEL_BIND, &[(CHANNEL_NUMBER, &CHANNEL), (PEER, &value)]).await;
    assert_eq!(refused.outcome(), Err(403));
    running.stop().await;
}

/// REL-3.tcp
#[tokio::test]
async fn a_stream_that_only_talks_is_ended_as_soon_as_a_silent_one() {
    let running = Running::start().await;
    let mut talker = Stream::connected(&running, "d1", TcpSocket::new_v4().unwrap()).await;
    talker.challenge().await;
    pass(Duration::from_secs(15)).await;
    talker.challenge().await;

    pass(Duration::from_secs(6)).await;

    assert_eq!(timeout(GUARD, talker.tcp.read(&mut [0; 8])).await.expect("the end").unwrap(), 0);
    running.stop().await;
}

/// REL-3.tcp
#[tokio::test]
async fn the_streams_of_one_address_leave_room_for_another() {
    let running = Running::start().await;
    let mut held = Vec::new();
    while running.relay.metrics().streams_refused.get() == 0 {
        held.push(TcpStream::connect(running.relay.addr()).await.unwrap());
        tokio::task::yield_now().await;
    }
    while running.relay.metrics().streams.get() < 256 {
        tokio::task::yield_now().await;
    }

    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    Stream::connected(&running, "d1", socket).await.challenge().await;
    running.stop().await;
}

/// The length of what comes to a peer next.
async fn received(peer: &UdpSocket) -> usize {
    timeout(GUARD, peer.recv(&mut vec![0; 0x1_0000])).await.expect("data").unwrap()
}

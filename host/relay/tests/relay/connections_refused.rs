//! Requests about allocations of TCP that are refused, each for its own reason.

use std::{net::SocketAddr, time::Duration};

use tokio::net::TcpListener;

use crate::{
    by_hand::{
        ALLOCATE, ByHand, CHANNEL_BIND, CHANNEL_NUMBER, CONNECT, CONNECTION_BIND, CONNECTION_ID, EVEN_PORT,
        PEER, TCP,
    },
    by_stream::{Stream, pass},
    connections::{accepted, bind, ended, with_peers_beside},
    moves::MOBILE,
    running::Running,
};

const DONT_FRAGMENT: (u16, &[u8]) = (0x001A, &[]);
const RESERVATION: (u16, &[u8]) = (0x0022, &[7; 8]);

/// REL-3.tcp
#[tokio::test]
async fn rel_3_allocations_of_tcp_are_for_streams_and_where_the_operator_wants_them() {
    let without = Running::start().await;
    let mut client = Stream::greeted(&without, "d1").await;
    assert_eq!(client.ask(ALLOCATE, &[TCP]).await.outcome(), Err(442));
    without.stop().await;

    let running = with_peers_beside().await;
    let mut by_datagrams = ByHand::greeted(&running, running.credentials("s1", "d1")).await;
    assert_eq!(by_datagrams.ask(ALLOCATE, &[TCP]).await.outcome(), Err(400));
    let mut client = Stream::greeted(&running, "d1").await;
    for of_datagrams in [(EVEN_PORT, &[0][..]), DONT_FRAGMENT, RESERVATION] {
        let said = client.ask(ALLOCATE, &[TCP, of_datagrams]).await;
        assert_eq!(said.outcome(), Err(400), "{of_datagrams:?}");
    }
    assert_eq!(client.ask(ALLOCATE, &[TCP, MOBILE]).await.outcome(), Err(405));
    assert_eq!(client.ask(ALLOCATE, &[(TCP.0, &[132, 0, 0, 0])]).await.outcome(), Err(442));
    assert_eq!(running.relay.allocations(), 0);
    running.stop().await;
}

/// REL-3.tcp, REL-4.one-host
#[tokio::test]
async fn rel_3_a_connect_that_cannot_be_is_refused_by_its_own_code() {
    let running = with_peers_beside().await;
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = peer.local_addr().unwrap();
    let mut client = Stream::greeted(&running, "d1").await;
    assert_eq!(client.ask_about(CONNECT, addr).await.outcome(), Err(437));
    let (mut of_udp, _) = Stream::allocated(&running, "d1").await;
    assert_eq!(of_udp.ask_about(CONNECT, addr).await.outcome(), Err(437));

    assert_eq!(client.ask(ALLOCATE, &[TCP]).await.outcome(), Ok(()));
    for (peer, code) in [
        ("10.0.0.1:5000", 403),
        ("169.254.169.254:8080", 403),
        ("[64:ff9b::a00:1]:5000", 403),
        ("8.8.8.8:25", 403),
        ("127.0.0.1:1023", 403),
        ("127.0.0.1:0", 403),
        ("[::1]:5000", 443),
    ] {
        let said = client.ask_about(CONNECT, peer.parse().unwrap()).await;
        assert_eq!(said.outcome(), Err(code), "{peer}");
    }
    assert_eq!(client.ask(CONNECT, &[]).await.outcome(), Err(400));
    let [one, other] = ["127.0.0.1:5000", "127.0.0.1:5001"].map(|addr| client.hand.peer(addr));
    assert_eq!(client.ask(CONNECT, &[(PEER, &one), (PEER, &other)]).await.outcome(), Err(400));

    assert_eq!(client.ask_about(CONNECT, addr).await.outcome(), Ok(()));
    assert_eq!(client.ask_about(CONNECT, addr).await.outcome(), Err(446));
    let nobody = of_nobody().await;
    assert_eq!(client.ask_about(CONNECT, nobody).await.outcome(), Err(447));
    assert_eq!(client.ask_about(CONNECT, nobody).await.outcome(), Err(447), "it may try again");
    let value = client.hand.peer(&addr.to_string());
    let channel = client.ask(CHANNEL_BIND, &[(CHANNEL_NUMBER, &[0x40, 1, 0, 0]), (PEER, &value)]).await;
    assert_eq!(channel.outcome(), Err(400));
    running.stop().await;
}

/// REL-3.tcp
#[tokio::test]
async fn rel_3_a_connection_is_its_participants_alone_and_once() {
    let running = with_peers_beside().await;
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut client, _) = Stream::allocated_by(&running, "d1", TCP).await;
    let said = client.ask_about(CONNECT, peer.local_addr().unwrap()).await;
    let id = said.value(CONNECTION_ID);
    let _far = accepted(&peer).await;

    let unknown: Vec<u8> = id.iter().map(|byte| !byte).collect();
    let (mut stream, said) = bind(&running, "d1", &unknown).await;
    assert_eq!(said.outcome(), Err(400));
    for wrong in [&id[..3], &[][..]] {
        assert_eq!(stream.ask(CONNECTION_BIND, &[(CONNECTION_ID, wrong)]).await.outcome(), Err(400));
    }
    assert_eq!(stream.ask(CONNECTION_BIND, &[]).await.outcome(), Err(400));
    let nobodys = stream.ask(CONNECTION_BIND, &[(CONNECTION_ID, &id), (0x7FFF, &[])]).await;
    assert_eq!(nobodys.outcome(), Err(420));
    let (_, said) = bind(&running, "d2", &id).await;
    assert_eq!(said.outcome(), Err(441));
    let on_control = client.ask(CONNECTION_BIND, &[(CONNECTION_ID, &id)]).await;
    assert_eq!(on_control.outcome(), Err(400));
    let mut by_datagrams = ByHand::greeted(&running, running.credentials("s1", "d1")).await;
    let said = by_datagrams.ask(CONNECTION_BIND, &[(CONNECTION_ID, &id)]).await;
    assert_eq!(said.outcome(), Err(400));

    // After all that, on a stream that was refused before.
    assert_eq!(stream.ask(CONNECTION_BIND, &[(CONNECTION_ID, &id)]).await.outcome(), Ok(()));
    let (_, said) = bind(&running, "d1", &id).await;
    assert_eq!(said.outcome(), Err(400), "twice");
    running.stop().await;
}

/// REL-3.tcp
#[tokio::test]
async fn rel_3_a_connection_waits_thirty_seconds_for_its_client() {
    let running = with_peers_beside().await;
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut client, _) = Stream::allocated_by(&running, "d1", TCP).await;
    let said = client.ask_about(CONNECT, peer.local_addr().unwrap()).await;
    let (mut far, _) = accepted(&peer).await;

    pass(Duration::from_secs(31)).await;

    let (_, refused) = bind(&running, "d1", &said.value(CONNECTION_ID)).await;
    assert_eq!(refused.outcome(), Err(400));
    ended(&mut far).await;
    while running.relay.metrics().peer_connections.get() > 0 {
        tokio::task::yield_now().await;
    }
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let again = client.ask_about(CONNECT, other.local_addr().unwrap()).await;
    assert_eq!(again.outcome(), Ok(()));
    running.stop().await;
}

/// Where nobody listens: it has been closed again.
async fn of_nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

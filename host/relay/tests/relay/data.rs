//! Data through the relay, and what ends it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use switchhook_core::{relay_token::TurnCredentials, seal::RootKeys};
use switchhook_relay::Participant;
use tokio::{net::UdpSocket, time::timeout};
use turn::client::{Client, ClientConfig};
use webrtc_util::Conn;

use crate::{
    by_hand::{ALLOCATE, ByHand, CREATE_PERMISSION, DATA, EVEN_PORT, PEER, RELAYED, SEND, UDP},
    running::{GUARD, REALM, Running},
};

const PERMIT: &[u8] = b"permit";

#[tokio::test]
async fn rel_3_two_participants_exchange_data_through_both_allocations() {
    let running = Running::start().await;
    exchange(&running, running.relay.addr()).await;

    let metrics = running.counted().await;
    assert_eq!(metrics.to_peer_packets.get(), 41);
    // Without, or with, the six that made a permission: they may have been too early.
    let bytes = metrics.from_peer_bytes.get();
    assert!([20 * 702, 20 * 702 + 6].contains(&bytes), "{bytes}");
    assert_eq!(metrics.refused_peer_packets.get(), 0);
}

#[tokio::test]
async fn rel_4_a_relay_that_is_reached_by_another_address_than_its_own_relays_to_itself() {
    let (inside, public) = ("127.0.0.9".parse().unwrap(), "203.0.113.9".parse().unwrap());
    let running = Running::start_with(RootKeys::new([1; 32], []), |config| {
        config.ip = inside;
        config.public_ip = Some(public);
    })
    .await;
    let server = SocketAddr::new(inside, running.relay.addr().port());
    let relayed = exchange(&running, server).await;
    assert_eq!(relayed.map(|addr| addr.ip()), [public, public]);
    running.stop().await;
}

#[tokio::test]
async fn rel_4_every_peer_of_one_request_is_permitted() {
    let running = Running::start_with(RootKeys::new([1; 32], []), |config| {
        config.peers.allow_loopback = true;
    })
    .await;
    let (mut client, _) = ByHand::allocated(&running, "s1", "d1").await;
    let peers =
        [UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.2:0").await.unwrap()];
    let values = ["127.0.0.1:1", "127.0.0.2:1"].map(|peer| client.peer(peer));
    let permitted = client.ask(CREATE_PERMISSION, &[(PEER, &values[0]), (PEER, &values[1])]).await;
    assert_eq!(permitted.outcome(), Ok(()));

    for peer in peers {
        let value = client.peer(&peer.local_addr().unwrap().to_string());
        let indication = client.write(SEND, &[(PEER, &value), (DATA, b"hello")], |_| ());
        client.send(&indication).await;
        let mut datagram = [0; 16];
        let length = timeout(GUARD, peer.recv(&mut datagram)).await.expect("the datagram").unwrap();
        assert_eq!(&datagram[..length], b"hello");
    }
    running.stop().await;
}

#[tokio::test]
async fn an_even_port_is_had_for_the_asking() {
    let running = Running::start().await;
    for device in ["d1", "d2", "d3", "d4"] {
        let mut client = ByHand::greeted(&running, running.credentials("s1", device)).await;
        let said = client.ask(ALLOCATE, &[UDP, (EVEN_PORT, &[0])]).await;
        assert!(said.address(RELAYED).port().is_multiple_of(2));
    }
    running.stop().await;
}

#[tokio::test]
async fn rel_3_an_allocation_that_is_not_refreshed_ends() {
    let running = Running::start().await;
    let (mut client, _) = ByHand::allocated(&running, "s1", "d1").await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(9)).await;
    tokio::time::resume();
    // Having answered the first the shard looks for what has expired, before it answers the second.
    for _ in 0..2 {
        let value = client.peer("8.8.8.8:9");
        assert_eq!(client.ask(CREATE_PERMISSION, &[(PEER, &value)]).await.outcome(), Ok(()), "it is held");
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(2)).await;
    while running.relay.allocations() > 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::resume();
    running.stop().await;
}

#[tokio::test]
async fn rel_3_who_is_sent_away_loses_its_allocations_and_nobody_else() {
    let running = Running::start().await;
    let _left = ByHand::allocated(&running, "s1", "d1").await;
    let _left_by_two_ways = ByHand::allocated(&running, "s1", "d1").await;
    let _goes_on = ByHand::allocated(&running, "s1", "d2").await;
    let _calls_another = ByHand::allocated(&running, "s2", "d1").await;
    assert_eq!(running.relay.participants().len(), 3);

    let send_away = async |tenant: &str, session: &str, device: &str| {
        let (tenant, session, device) =
            (tenant.parse().unwrap(), session.parse().unwrap(), device.parse().unwrap());
        timeout(GUARD, running.relay.send_away(&Participant { tenant, session, device })).await.unwrap();
    };
    send_away("acme", "s1", "d1").await;
    assert_eq!(running.relay.allocations(), 2);
    send_away("other", "s2", "d1").await;
    assert_eq!(running.relay.allocations(), 2, "another tenant's session of the same name");
    assert_eq!(running.relay.metrics().allocations.get(), 2);
    running.stop().await;
}

/// Twenty rounds between two participants; their relayed addresses.
async fn exchange(running: &Running, server: SocketAddr) -> [SocketAddr; 2] {
    let (alice_client, alice) = allocate(server, running.credentials("s1", "alice")).await;
    let (bob_client, bob) = allocate(server, running.credentials("s1", "bob")).await;
    let (to_alice, to_bob) = (alice.local_addr().unwrap(), bob.local_addr().unwrap());
    assert_eq!(running.relay.allocations(), 2);

    // The first datagram makes Bob's permission; it arrives if Alice's is made before the relay looks.
    bob.send_to(PERMIT, to_alice).await.unwrap();
    for round in 0..20_u8 {
        alice.send_to(&[round; 700], to_bob).await.unwrap();
        assert_eq!(receive(&bob).await, (vec![round; 700], to_alice));
        bob.send_to(&[round, 1], to_alice).await.unwrap();
        assert_eq!(receive(&alice).await, (vec![round, 1], to_bob));
    }
    alice_client.close().await.unwrap();
    bob_client.close().await.unwrap();
    [to_alice, to_bob]
}

async fn allocate(server: SocketAddr, credentials: TurnCredentials) -> (Client, impl Conn + Sync + use<>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = server.to_string();
    let config = ClientConfig {
        stun_serv_addr: server.clone(),
        turn_serv_addr: server,
        username: credentials.username,
        password: credentials.password,
        realm: REALM.to_owned(),
        software: String::new(),
        rto_in_ms: 0,
        conn: Arc::new(socket),
        vnet: None,
    };
    let client = Client::new(config).await.unwrap();
    client.listen().await.unwrap();
    let relayed = timeout(GUARD, client.allocate()).await.expect("an allocation").unwrap();
    (client, relayed)
}

async fn receive(conn: &(impl Conn + Sync)) -> (Vec<u8>, SocketAddr) {
    loop {
        let mut datagram = vec![0; 1500];
        let received = timeout(GUARD, conn.recv_from(&mut datagram)).await;
        let (length, from) = received.expect("a datagram").unwrap();
        datagram.truncate(length);
        if datagram != PERMIT {
            return (datagram, from);
        }
    }
}

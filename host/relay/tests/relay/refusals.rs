//! Each kind of request that the relay refuses, with its TURN error.

use std::{net::SocketAddr, time::Duration};

use switchhook_core::{
    relay_token::{RelayToken, TurnCredentials},
    seal::RootKeys,
    stun::{Algorithm, Key},
};
use switchhook_relay::Quota;
use tokio::net::UdpSocket;

use crate::{
    by_hand::{
        ALLOCATE, ByHand, CHANNEL_BIND, CHANNEL_NUMBER, CREATE_PERMISSION, DATA, LIFETIME, PEER, REFRESH,
        SEND, UDP,
    },
    running::{Running, keys_of, token},
};

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn rel_3_who_has_no_token_of_this_relay_host_is_refused() {
    let running = Running::start().await;
    let good = running.credentials("s1", "d1");
    let elsewhere = keys_of(&RootKeys::new([1; 32], []), "relay-2");
    let foreign = keys_of(&RootKeys::new([9; 32], []), "relay-1");
    let named_otherwise = RelayToken { host: "relay-2".parse().unwrap(), ..token("s1", "d1", HOUR) };
    let rng = &mut rand::rng();
    for (name, credentials) in [
        ("wrong password", TurnCredentials { password: "guess".to_owned(), ..good.clone() }),
        (
            "another token's password",
            TurnCredentials { username: running.credentials("s1", "d1").username, ..good },
        ),
        ("no token", TurnCredentials { username: "guest".to_owned(), password: "guest".to_owned() }),
        ("expired", token("s1", "d1", Duration::ZERO).mint(&running.keys, rng)),
        ("another relay host's", token("s1", "d1", HOUR).mint(&elsewhere, rng)),
        ("another operator's", token("s1", "d1", HOUR).mint(&foreign, rng)),
        ("under these keys for another relay host", named_otherwise.mint(&running.keys, rng)),
    ] {
        let mut client = ByHand::greeted(&running, credentials).await;
        assert_eq!(client.ask(ALLOCATE, &[UDP]).await.outcome(), Err(401), "{name}");
    }
    assert_eq!(running.relay.metrics().refused_with(401), 7);
    assert_eq!(running.relay.allocations(), 0);
    running.stop().await;
}

#[tokio::test]
async fn rel_3_a_token_under_the_previous_key_is_taken() {
    let (old, new) = ([1; 32], [2; 32]);
    let running = Running::start_with(RootKeys::new(new, [old]), |_| ()).await;
    let credentials =
        token("s1", "d1", HOUR).mint(&keys_of(&RootKeys::new(old, []), "relay-1"), &mut rand::rng());
    let mut client = ByHand::greeted(&running, credentials).await;
    assert_eq!(client.ask(ALLOCATE, &[UDP]).await.outcome(), Ok(()));
    running.stop().await;
}

#[tokio::test]
async fn rel_3_an_old_or_a_strange_nonce_is_stale() {
    let running = Running::start().await;
    let (mut client, _) = ByHand::allocated(&running, "s1", "d1").await;
    running.pass(Duration::from_mins(10));
    assert_eq!(client.ask(REFRESH, &[]).await.outcome(), Err(438));

    let mut stranger = ByHand::new(&running, running.credentials("s1", "d2")).await;
    assert_eq!(stranger.ask(ALLOCATE, &[UDP]).await.outcome(), Err(438));
    running.stop().await;
}

#[tokio::test]
async fn rel_3_one_participant_holds_so_many_allocations_and_no_more() {
    let quota = Quota { each_participant: 2, ..Quota::default() };
    let running = Running::start_with(RootKeys::new([1; 32], []), |config| config.quota = quota).await;
    let (mut first, _) = ByHand::allocated(&running, "s1", "d1").await;
    let _second = ByHand::allocated(&running, "s1", "d1").await;

    let replayed = TurnCredentials { ..first.credentials.clone() };
    let mut third = ByHand::greeted(&running, replayed).await;
    assert_eq!(third.ask(ALLOCATE, &[UDP]).await.outcome(), Err(486));
    let mut renewed = ByHand::greeted(&running, running.credentials("s1", "d1")).await;
    assert_eq!(renewed.ask(ALLOCATE, &[UDP]).await.outcome(), Err(486));
    let _another = ByHand::allocated(&running, "s1", "d2").await;

    assert_eq!(first.ask(REFRESH, &[(LIFETIME, &[0; 4])]).await.outcome(), Ok(()));
    assert_eq!(third.ask(ALLOCATE, &[UDP]).await.outcome(), Ok(()), "a place became free");
    running.stop().await;
}

#[tokio::test]
async fn rel_3_an_allocation_ends_with_its_token() {
    let running = Running::start().await;
    let short = token("s1", "d1", Duration::from_secs(90)).mint(&running.keys, &mut rand::rng());
    let mut client = ByHand::greeted(&running, short).await;
    assert_eq!(client.ask(ALLOCATE, &[UDP]).await.lifetime(), 90);
    running.pass(Duration::from_mins(1));
    let asked = 3000_u32.to_be_bytes();
    assert_eq!(client.ask(REFRESH, &[(LIFETIME, &asked)]).await.lifetime(), 30);

    client.credentials = running.credentials("s1", "d1");
    assert_eq!(client.ask(REFRESH, &[(LIFETIME, &asked)]).await.lifetime(), 3000, "with a renewed token");
    running.stop().await;
}

#[tokio::test]
async fn rel_4_peers_of_the_operators_network_are_refused() {
    let running = Running::start().await;
    let (mut client, _) = ByHand::allocated(&running, "s1", "d1").await;
    for peer in
        ["127.0.0.2:9", "10.0.0.1:53", "192.168.1.1:80", "169.254.169.254:80", "224.0.0.1:9", "0.0.0.0:9"]
    {
        let value = client.peer(peer);
        assert_eq!(client.ask(CREATE_PERMISSION, &[(PEER, &value)]).await.outcome(), Err(403), "{peer}");
        let value = client.peer(peer);
        let bind = [(CHANNEL_NUMBER, &[0x40, 0, 0, 0][..]), (PEER, &value)];
        assert_eq!(client.ask(CHANNEL_BIND, &bind).await.outcome(), Err(403), "{peer}");
    }
    let (good, bad) = (client.peer("8.8.8.8:9"), client.peer("10.0.0.1:9"));
    let both = client.ask(CREATE_PERMISSION, &[(PEER, &good), (PEER, &bad)]).await;
    assert_eq!(both.outcome(), Err(403), "one refused peer refuses the request");
    running.stop().await;
}

#[tokio::test]
async fn rel_4_on_the_relays_own_address_only_relayed_ports_are_reached() {
    let running = Running::start().await;
    let (mut client, relayed) = ByHand::allocated(&running, "s1", "d1").await;
    let bystander = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let permission = client.peer(&relayed.to_string());
    assert_eq!(client.ask(CREATE_PERMISSION, &[(PEER, &permission)]).await.outcome(), Ok(()));

    let addr: SocketAddr = bystander.local_addr().unwrap();
    let peer = client.peer(&addr.to_string());
    let indication = client.write(SEND, &[(PEER, &peer), (DATA, b"knock")], |_| ());
    client.send(&indication).await;
    // The relay handles one datagram after the other: with this answer the one before is done.
    assert_eq!(client.ask(REFRESH, &[]).await.outcome(), Ok(()));

    assert_eq!(running.relay.metrics().refused_peer_packets.get(), 1);
    assert_eq!(running.relay.metrics().to_peer_packets.get(), 0);
    assert!(bystander.try_recv(&mut [0; 8]).is_err());
    running.stop().await;
}

#[tokio::test]
async fn a_request_about_no_or_anothers_allocation_is_told_so() {
    let running = Running::start().await;
    let mut client = ByHand::greeted(&running, running.credentials("s1", "d1")).await;
    let peer = client.peer("8.8.8.8:9");
    assert_eq!(client.ask(CREATE_PERMISSION, &[(PEER, &peer)]).await.outcome(), Err(437));
    assert_eq!(client.ask(REFRESH, &[]).await.outcome(), Err(437));
    let allocate = client.signed(ALLOCATE, &[UDP]);
    let first = client.exchange(&allocate).await;
    assert_eq!(first.outcome(), Ok(()));
    assert_eq!(client.exchange(&allocate).await, first, "the answer was lost, the request repeated");
    assert_eq!(client.ask(ALLOCATE, &[UDP]).await.outcome(), Err(437));

    client.credentials = running.credentials("s1", "d2");
    assert_eq!(client.ask(REFRESH, &[]).await.outcome(), Err(441));
    running.stop().await;
}

#[tokio::test]
async fn a_malformed_request_is_refused_and_the_next_one_served() {
    let running = Running::start().await;
    let mut client = ByHand::greeted(&running, running.credentials("s1", "d1")).await;
    for (name, attributes, code) in [
        ("an attribute that nobody knows", [UDP, (0x7777, &[][..])], 420),
        ("an even port in another form", [UDP, (0x0018, &[0x80, 0, 0, 0])], 400),
        ("a port that nobody kept", [UDP, (0x0022, &[7; 8])], 508),
        ("IPv6 on an IPv4 relay", [UDP, (0x0017, &[2, 0, 0, 0])], 440),
        ("no transport", [(0x8022, b"test"), (LIFETIME, &[0, 0, 2, 0])], 400),
        ("TCP", [(0x0019, &[6, 0, 0, 0]), (LIFETIME, &[0, 0, 2, 0])], 442),
    ] {
        assert_eq!(client.ask(ALLOCATE, &attributes).await.outcome(), Err(code), "{name}");
    }
    client.send(b"hello").await;
    client.send(&[0x40, 0, 0xFF, 0xFF]).await;
    client.send(&[]).await;
    assert_eq!(client.ask(ALLOCATE, &[UDP]).await.outcome(), Ok(()));
    assert_eq!(client.ask(CREATE_PERMISSION, &[]).await.outcome(), Err(400));
    let peer = client.peer("8.8.8.8:9");
    let wrong_channel = [(CHANNEL_NUMBER, &[0x80, 0, 0, 0][..]), (PEER, &peer)];
    assert_eq!(client.ask(CHANNEL_BIND, &wrong_channel).await.outcome(), Err(400));
    running.stop().await;
}

#[tokio::test]
async fn of_two_signatures_the_stronger_one_counts() {
    let running = Running::start().await;
    let mut client = ByHand::greeted(&running, running.credentials("s1", "d1")).await;
    let weak = (client.key(), Algorithm::Sha1);
    let forged = client.signed_with(ALLOCATE, &[UDP], &[weak, (Key::short_term("guess"), Algorithm::Sha256)]);
    assert_eq!(client.exchange(&forged).await.outcome(), Err(401));

    let both = [(client.key(), Algorithm::Sha1), (client.key(), Algorithm::Sha256)];
    let request = client.signed_with(ALLOCATE, &[UDP], &both);
    assert_eq!(client.exchange(&request).await.outcome(), Ok(()));
    running.stop().await;
}

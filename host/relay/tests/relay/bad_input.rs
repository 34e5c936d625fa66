//! What breaks the rules is refused or lost, and whoever keeps them is served.

use std::net::Ipv6Addr;

use switchhook_core::{
    seal::RootKeys,
    stun::{Message, attribute, message_type},
};
use switchhook_programs::skipped;
use switchhook_relay::Ip;
use tokio::net::UdpSocket;

use crate::{
    by_hand::{ALLOCATE, ByHand, CHANNEL_BIND, CHANNEL_NUMBER, CREATE_PERMISSION, PEER, REFRESH, UDP},
    running::Running,
};

/// ADDITIONAL-ADDRESS-FAMILY: IPv6.
const BOTH: (u16, &[u8]) = (0x8000, &[2, 0, 0, 0]);

#[tokio::test]
async fn a_request_that_is_cut_or_too_long_does_nothing() {
    let running = Running::start().await;
    let mut client = ByHand::greeted(&running, running.credentials("s1", "d1")).await;
    let allocate = client.signed(ALLOCATE, &[UDP]);
    for length in 0..allocate.len() {
        client.send(&allocate[..length]).await;
    }
    client.send(&[&allocate[..], &[0; 4]].concat()).await;
    client.send(&[allocate.clone(), vec![0; 60_000]].concat()).await;
    for (at, byte) in [(2, 0xFF), (3, allocate[3] + 4), (3, allocate[3] - 4), (3, 1), (4, 0), (23, 0xFF)] {
        let mut wrong = allocate.clone();
        wrong[at] = byte;
        if Message::parse(&wrong).is_err() {
            client.send(&wrong).await;
        }
    }

    // The relay handles one datagram after the other: no answer came before this one, and there is no allocation.
    assert_eq!(client.ask(REFRESH, &[]).await.outcome(), Err(437));
    assert_eq!(running.relay.metrics().allocated.get(), 0);
    running.stop().await;
}

#[tokio::test]
async fn rel_3_what_somebody_overheard_serves_from_no_other_address() {
    let running = Running::start().await;
    let (mut client, _) = ByHand::allocated(&running, "s1", "d1").await;
    let overheard = client.signed(ALLOCATE, &[UDP]);
    client.socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    assert_eq!(client.exchange(&overheard).await.outcome(), Err(438));
    assert_eq!(running.relay.allocations(), 1);
    running.stop().await;
}

#[tokio::test]
async fn rel_4_a_forbidden_peer_is_forbidden_in_every_notation() {
    if !skipped::has_ipv6("rel_4_a_forbidden_peer_is_forbidden_in_every_notation") {
        return;
    }
    let running = Running::start_with(RootKeys::new([1; 32], []), |config| {
        config.other_ip = Some(Ip { bind: Ipv6Addr::LOCALHOST.into(), public: None });
    })
    .await;
    let mut client = ByHand::greeted(&running, running.credentials("s1", "d1")).await;
    assert_eq!(client.ask(ALLOCATE, &[UDP, BOTH]).await.outcome(), Ok(()));
    for forbidden in ["10.0.0.1", "127.0.0.2", "169.254.169.254", "192.168.1.1"] {
        for notation in ["{}", "[::ffff:{}]", "[::{}]", "[64:ff9b::{}]", "[::ffff:0:{}]"] {
            let peer = format!("{}:9", notation.replace("{}", forbidden));
            refused(&mut client, &peer).await;
        }
    }
    for peer in
        ["[2002:a00:1::1]:9", "[fe80::1]:9", "[fc00::1]:9", "[ff02::1]:9", "[::]:9", "[2001:db8::1]:9"]
    {
        refused(&mut client, peer).await;
    }
    running.stop().await;
}

async fn refused(client: &mut ByHand, peer: &str) {
    let value = client.peer(peer);
    assert_eq!(client.ask(CREATE_PERMISSION, &[(PEER, &value)]).await.outcome(), Err(403), "{peer}");
    let value = client.peer(peer);
    let bind = [(CHANNEL_NUMBER, &[0x40, 0, 0, 0][..]), (PEER, &value)];
    assert_eq!(client.ask(CHANNEL_BIND, &bind).await.outcome(), Err(403), "{peer}");
}

#[tokio::test]
async fn rel_3_a_stranger_is_told_at_most_little_more_than_it_said() {
    let running = Running::start().await;
    let mut client = ByHand::new(&running, running.credentials("s1", "d1")).await;
    // An answer adds the stranger's address; a challenge realm, nonce and algorithms, less than a request with
    // credentials has.
    let binding = client.write(message_type::BINDING_REQUEST, &[], |_| ());
    assert!(client.exchange(&binding).await.0.len() <= binding.len() + 24);
    let unsigned = client.write(ALLOCATE, &[UDP], |_| ());
    let challenge = client.exchange(&unsigned).await;
    assert_eq!(challenge.outcome(), Err(401));
    client.nonce = challenge.value(attribute::NONCE);
    let signed = client.signed(ALLOCATE, &[UDP]);
    assert!(challenge.0.len() < signed.len(), "{} and {}", challenge.0.len(), signed.len());
    running.stop().await;
}

//! Allocations of either family, and of both (RFC 8656 §7.2, §8.2).

use std::net::SocketAddr;

use switchhook_core::{
    seal::RootKeys,
    stun::{self, Message},
};
use switchhook_programs::skipped;
use switchhook_relay::Ip;
use tokio::{net::UdpSocket, time::timeout};

use crate::{
    by_hand::{ALLOCATE, ByHand, CREATE_PERMISSION, DATA, LIFETIME, PEER, REFRESH, RELAYED, SEND, Said, UDP},
    running::{GUARD, Running},
};

/// REQUESTED-ADDRESS-FAMILY.
const IPV4: (u16, &[u8]) = (0x0017, &[1, 0, 0, 0]);
const IPV6: (u16, &[u8]) = (0x0017, &[2, 0, 0, 0]);
/// ADDITIONAL-ADDRESS-FAMILY: IPv6.
const BOTH: (u16, &[u8]) = (0x8000, &[2, 0, 0, 0]);
const ADDRESS_ERROR_CODE: u16 = 0x8001;

#[tokio::test]
async fn rel_3_a_client_of_ipv4_reaches_peers_of_ipv6() {
    let test = "rel_3_a_client_of_ipv4_reaches_peers_of_ipv6";
    let Some(running) = of_both_families(test).await else { return };
    let mut client = ByHand::greeted(&running, running.credentials("s1", "d1")).await;
    let said = client.ask(ALLOCATE, &[UDP, IPV6]).await;
    let relayed = said.address(RELAYED);
    assert!(relayed.is_ipv6(), "{relayed}");

    let peer = UdpSocket::bind("[::1]:0").await.unwrap();
    let addr = peer.local_addr().unwrap().to_string();
    let value = client.peer(&addr);
    assert_eq!(client.ask(CREATE_PERMISSION, &[(PEER, &value)]).await.outcome(), Ok(()));
    let value = client.peer(&addr);
    let indication = client.write(SEND, &[(PEER, &value), (DATA, b"hello")], |_| ());
    client.send(&indication).await;
    let mut datagram = [0; 16];
    let (length, from) = timeout(GUARD, peer.recv_from(&mut datagram)).await.expect("data").unwrap();
    assert_eq!((&datagram[..length], from), (&b"hello"[..], relayed));

    let value = client.peer("127.0.0.1:9");
    assert_eq!(client.ask(CREATE_PERMISSION, &[(PEER, &value)]).await.outcome(), Err(443));
    running.stop().await;
}

#[tokio::test]
async fn rel_3_an_allocation_of_both_families_is_refreshed_by_family() {
    let test = "rel_3_an_allocation_of_both_families_is_refreshed_by_family";
    let Some(running) = of_both_families(test).await else { return };
    let mut client = ByHand::greeted(&running, running.credentials("s1", "d1")).await;
    let said = client.ask(ALLOCATE, &[UDP, BOTH]).await;
    let families: Vec<bool> = all_relayed(&said).iter().map(SocketAddr::is_ipv4).collect();
    assert_eq!(families, [true, false]);
    assert_eq!(running.relay.allocations(), 1);
    let value = client.peer("[::1]:9");
    assert_eq!(client.ask(CREATE_PERMISSION, &[(PEER, &value)]).await.outcome(), Ok(()));

    assert_eq!(client.ask(REFRESH, &[(LIFETIME, &[0; 4]), IPV6]).await.outcome(), Ok(()));
    let value = client.peer("[::1]:9");
    assert_eq!(client.ask(CREATE_PERMISSION, &[(PEER, &value)]).await.outcome(), Err(443));
    assert_eq!(client.ask(REFRESH, &[IPV6]).await.outcome(), Err(443));
    let value = client.peer("127.0.0.1:9");
    assert_eq!(client.ask(CREATE_PERMISSION, &[(PEER, &value)]).await.outcome(), Ok(()));
    assert_eq!(client.ask(REFRESH, &[(LIFETIME, &[0; 4])]).await.outcome(), Ok(()));
    assert_eq!(running.relay.allocations(), 0);
    running.stop().await;
}

#[tokio::test]
async fn rel_3_without_a_second_family_a_client_gets_the_first_and_is_told() {
    let running = Running::start().await;
    let mut client = ByHand::greeted(&running, running.credentials("s1", "d1")).await;
    let said = client.ask(ALLOCATE, &[UDP, BOTH]).await;
    assert_eq!((said.outcome(), all_relayed(&said).len()), (Ok(()), 1));
    assert_eq!(said.value(ADDRESS_ERROR_CODE), [2, 0, 4, 40]);
    let value = client.peer("[2606:4700::1111]:9");
    assert_eq!(client.ask(CREATE_PERMISSION, &[(PEER, &value)]).await.outcome(), Err(443));
    for hidden in ["[::ffff:10.0.0.1]:9", "[64:ff9b::a00:1]:9", "[2002:a00:1::1]:9"] {
        let value = client.peer(hidden);
        assert_eq!(client.ask(CREATE_PERMISSION, &[(PEER, &value)]).await.outcome(), Err(403), "{hidden}");
    }
    running.stop().await;
}

#[tokio::test]
async fn rel_3_a_relay_without_ipv4_serves_who_asks_for_ipv6() {
    if !skipped::has_ipv6("rel_3_a_relay_without_ipv4_serves_who_asks_for_ipv6") {
        return;
    }
    let running = Running::start_with(RootKeys::new([1; 32], []), |config| {
        config.ip = "::1".parse().unwrap();
    })
    .await;
    let mut client = ByHand::greeted(&running, running.credentials("s1", "d1")).await;
    // Unasked, an address is of IPv4 (RFC 8656 §7.2).
    for wanted in [&[UDP][..], &[UDP, IPV4], &[UDP, BOTH]] {
        assert_eq!(client.ask(ALLOCATE, wanted).await.outcome(), Err(440));
    }
    let said = client.ask(ALLOCATE, &[UDP, IPV6]).await;
    assert!(said.address(RELAYED).is_ipv6());
    running.stop().await;
}

/// None, and the test says so, where there is no IPv6.
async fn of_both_families(test: &str) -> Option<Running> {
    if !skipped::has_ipv6(test) {
        return None;
    }
    let running = Running::start_with(RootKeys::new([1; 32], []), |config| {
        config.peers.allow_loopback = true;
        config.other_ip = Some(Ip { bind: "::1".parse().unwrap(), public: None });
    });
    Some(running.await)
}

fn all_relayed(said: &Said) -> Vec<SocketAddr> {
    let message = Message::parse(&said.0).unwrap();
    let relayed = message.attributes().filter(|(kind, _)| *kind == RELAYED);
    relayed.map(|(_, value)| stun::read_address(value, &message.transaction()).unwrap()).collect()
}

//! Clients that get another address: without a ticket they find room, with one they keep what they have (RFC 8016).

use std::{net::SocketAddr, time::Duration};

use switchhook_core::{seal::RootKeys, stun::attribute as stun_attribute};
use switchhook_relay::{Quota, RelayConfig};
use tokio::{net::UdpSocket, time::timeout};

use crate::{
    by_hand::{ALLOCATE, ByHand, CHANNEL_BIND, CHANNEL_NUMBER, LIFETIME, PEER, REFRESH, RELAYED, Said, UDP},
    running::{GUARD, Running},
};

pub(crate) const TICKET: u16 = 0x8030;
/// Asks for an allocation that follows its client.
pub(crate) const MOBILE: (u16, &[u8]) = (TICKET, &[]);

/// How often a shard looks for what has ended.
const LOOK: Duration = Duration::from_secs(1);

const CHANNEL: [u8; 4] = [0x40, 0x01, 0, 0];

#[tokio::test]
async fn rel_3_a_client_that_moves_again_and_again_finds_room_and_what_is_in_use_stays() {
    let running = Running::start().await;
    let (mut used, _) = ByHand::allocated(&running, "s1", "d1").await;
    for _ in 0..8 {
        // What it left where it was lives for ten minutes, of which these moves take less than two.
        let _moved = ByHand::allocated(&running, "s1", "d1").await;
        pass(Duration::from_secs(11)).await;
        assert_eq!(used.ask(REFRESH, &[]).await.outcome(), Ok(()));
    }
    assert_eq!(running.relay.metrics().gave_way.get(), 5);
    running.stop().await;
}

#[tokio::test]
async fn rel_3_the_silent_allocation_gives_way_and_its_client_is_told_so() {
    let quota = Quota { each_participant: 2, ..Quota::default() };
    let running = Running::start_with(RootKeys::new([1; 32], []), |config| config.quota = quota).await;
    let (mut silent, _) = ByHand::allocated(&running, "s1", "d1").await;
    let (mut used, _) = ByHand::allocated(&running, "s1", "d1").await;
    pass(Duration::from_secs(31)).await;
    assert_eq!(used.ask(REFRESH, &[]).await.outcome(), Ok(()));

    let _new = ByHand::allocated(&running, "s1", "d1").await;
    let mut one_more = ByHand::greeted(&running, running.credentials("s1", "d1")).await;
    assert_eq!(one_more.ask(ALLOCATE, &[UDP]).await.outcome(), Err(486), "the others are in use");

    assert_eq!(used.ask(REFRESH, &[]).await.outcome(), Ok(()));
    // Its shard is due to look: it does so after what it is asked next, before it takes anything more.
    pass(LOOK).await;
    silent.ask(REFRESH, &[]).await;
    assert_eq!(silent.ask(REFRESH, &[]).await.outcome(), Err(437));
    assert_eq!(running.relay.allocations(), 2);
    running.stop().await;
}

#[tokio::test]
async fn rel_3_an_allocation_follows_its_client_with_its_channels() {
    let running = Running::start_with(RootKeys::new([1; 32], []), on_four_shards).await;
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (mut client, mut ticket, relayed) = mobile(&running, "d1").await;
    let value = client.peer(&peer.local_addr().unwrap().to_string());
    let bound = client.ask(CHANNEL_BIND, &[(CHANNEL_NUMBER, &CHANNEL), (PEER, &value)]).await;
    assert_eq!(bound.outcome(), Ok(()));

    for _ in 0..16 {
        let former = elsewhere(&mut client).await;
        let said = with_ticket(&mut client, &ticket).await;
        assert_eq!((said.outcome(), said.lifetime()), (Ok(()), 600));
        assert_ne!(said.value(TICKET), ticket, "each serves once");
        ticket = said.value(TICKET);

        let moved = std::mem::replace(&mut client.socket, former);
        client.send(b"\x40\x01\0\x04late").await;
        assert_eq!(client.ask(CHANNEL_BIND, &[]).await.outcome(), Err(438), "nonces are bound to addresses");
        client.socket = moved;
        client.send(b"\x40\x01\0\x05hello").await;
        assert_eq!(received(&peer).await, (b"hello".to_vec(), relayed));
        peer.send_to(b"answer", relayed).await.unwrap();
        assert_eq!(received(&client.socket).await.0, b"\x40\x01\0\x06answer");
    }
    assert_eq!(running.relay.allocations(), 1);
    let metrics = running.counted().await;
    assert_eq!((metrics.moved.get(), metrics.allocated.get()), (16, 1));
    assert_eq!(metrics.to_peer_packets.get(), 16, "the former address is served no more");
}

#[tokio::test]
async fn rel_3_at_its_former_address_a_client_that_moved_holds_nothing() {
    let running = Running::start_with(RootKeys::new([1; 32], []), on_four_shards).await;
    let (mut client, ticket, _) = mobile(&running, "d1").await;
    let nonce = client.nonce.clone();
    let former = elsewhere(&mut client).await;
    assert_eq!(with_ticket(&mut client, &ticket).await.outcome(), Ok(()));
    (client.socket, client.nonce) = (former, nonce);
    assert_eq!(client.ask(REFRESH, &[]).await.outcome(), Err(437));
    running.stop().await;
}

#[tokio::test]
async fn rel_3_a_move_whose_answer_was_lost_is_answered_again_and_its_ticket_counts_no_more() {
    let running = Running::start_with(RootKeys::new([1; 32], []), on_four_shards).await;
    let (mut client, ticket, _) = mobile(&running, "d1").await;
    elsewhere(&mut client).await;
    let said = with_ticket(&mut client, &ticket).await;
    let moved = client.signed_again(REFRESH, &[(TICKET, &ticket)]);
    assert_eq!(client.exchange(&moved).await, said, "the same words");
    assert_eq!(client.ask(REFRESH, &[(TICKET, &ticket)]).await.outcome(), Err(400), "it is where it was");

    elsewhere(&mut client).await;
    assert_eq!(with_ticket(&mut client, &ticket).await.outcome(), Err(437), "a spent one");
    let given_up = client.ask(REFRESH, &[(TICKET, &said.value(TICKET)), (LIFETIME, &[0; 4])]).await;
    assert_eq!((given_up.outcome(), given_up.lifetime()), (Ok(()), 0));
    assert_eq!(running.relay.allocations(), 0);
    running.stop().await;
}

#[tokio::test]
async fn rel_3_a_ticket_serves_its_participant_alone() {
    let running = Running::start_with(RootKeys::new([1; 32], []), on_four_shards).await;
    let (mut client, ticket, _) = mobile(&running, "d1").await;
    let mut other = ByHand::greeted(&running, running.credentials("s1", "d2")).await;
    assert_eq!(other.ask(REFRESH, &[(TICKET, &ticket)]).await.outcome(), Err(441));
    assert_eq!(other.ask(REFRESH, &[(TICKET, &[b'A'; 32])]).await.outcome(), Err(437), "forged");
    assert_eq!(other.ask(REFRESH, &[MOBILE]).await.outcome(), Err(400));
    assert_eq!(other.ask(ALLOCATE, &[UDP, (TICKET, &ticket)]).await.outcome(), Err(400));

    // With a renewed token it is the same participant.
    client.credentials = running.credentials("s1", "d1");
    elsewhere(&mut client).await;
    assert_eq!(with_ticket(&mut client, &ticket).await.outcome(), Ok(()));
    running.stop().await;
}

#[tokio::test]
async fn rel_3_where_allocations_stay_tickets_are_forbidden() {
    let running = Running::start_with(RootKeys::new([1; 32], []), |config| config.mobility = false).await;
    let mut client = ByHand::greeted(&running, running.credentials("s1", "d1")).await;
    assert_eq!(client.ask(ALLOCATE, &[UDP, MOBILE]).await.outcome(), Err(405));
    assert_eq!(client.ask(REFRESH, &[(TICKET, &[b'A'; 32])]).await.outcome(), Err(405));
    assert_eq!(client.ask(ALLOCATE, &[UDP]).await.outcome(), Ok(()));
    running.stop().await;
}

pub(crate) fn on_four_shards(config: &mut RelayConfig) {
    config.peers.allow_loopback = true;
    config.shards = 4;
}

/// A client with an allocation that follows it, its ticket, and the relayed address.
async fn mobile(running: &Running, device: &str) -> (ByHand, Vec<u8>, SocketAddr) {
    let mut client = ByHand::greeted(running, running.credentials("s1", device)).await;
    let said = client.ask(ALLOCATE, &[UDP, MOBILE]).await;
    assert_eq!(said.outcome(), Ok(()));
    (client, said.value(TICKET), said.address(RELAYED))
}

/// The client has another address; its former one is given back.
async fn elsewhere(client: &mut ByHand) -> UdpSocket {
    std::mem::replace(&mut client.socket, UdpSocket::bind("127.0.0.1:0").await.unwrap())
}

/// Shows a ticket at an address where the client has no nonce yet.
async fn with_ticket(client: &mut ByHand, ticket: &[u8]) -> Said {
    let challenged = client.ask(REFRESH, &[(TICKET, ticket)]).await;
    assert_eq!(challenged.outcome(), Err(438));
    client.nonce = challenged.value(stun_attribute::NONCE);
    client.ask(REFRESH, &[(TICKET, ticket)]).await
}

async fn received(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut datagram = vec![0; 1500];
    let (length, from) = timeout(GUARD, socket.recv_from(&mut datagram)).await.expect("data").unwrap();
    datagram.truncate(length);
    (datagram, from)
}

async fn pass(duration: Duration) {
    tokio::time::pause();
    tokio::time::advance(duration).await;
    tokio::time::resume();
}

//! What one tenant, session or stranger may have, and what is left when everybody is gone.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use nix::sys::socket::{setsockopt, sockopt::UdpGsoSegment};
use rustix::process::{Resource, getrlimit, setrlimit};
use switchhook_core::{
    rate::Rate,
    seal::RootKeys,
    stun::{Message, attribute},
};
use switchhook_relay::Quota;
use tokio::{net::UdpSocket, time::timeout};

use crate::{
    by_hand::{
        ALLOCATE, ByHand, CHANNEL_BIND, CHANNEL_NUMBER, CREATE_PERMISSION, DATA, EVEN_PORT, LIFETIME, PEER,
        REFRESH, RELAYED, UDP,
    },
    running::{GUARD, Running},
};

const BINDING: u16 = 0x0001;

#[tokio::test]
async fn rel_3_a_session_holds_so_many_allocations_and_no_more() {
    let quota = Quota { each_session: 2, ..Quota::default() };
    let running = Running::start_with(RootKeys::new([1; 32], []), |config| config.quota = quota).await;
    let (mut first, _) = ByHand::allocated(&running, "s1", "d1").await;
    let _second = ByHand::allocated(&running, "s1", "d2").await;
    let mut third = ByHand::greeted(&running, running.credentials("s1", "d3")).await;
    assert_eq!(third.ask(ALLOCATE, &[UDP]).await.outcome(), Err(486));
    let _elsewhere = ByHand::allocated(&running, "s2", "d3").await;
    assert_eq!(first.ask(REFRESH, &[(LIFETIME, &[0; 4])]).await.outcome(), Ok(()));
    assert_eq!(third.ask(ALLOCATE, &[UDP]).await.outcome(), Ok(()));
    running.stop().await;
}

#[tokio::test]
async fn rel_3_when_all_ports_are_given_out_the_next_is_told_so() {
    // No port that the system chooses.
    let ports = 31_000..=31_001;
    let change = |config: &mut switchhook_relay::RelayConfig| {
        config.ip = Ipv4Addr::new(127, 7, 7, 7).into();
        config.relayed_ports = Some(ports);
    };
    let running = Running::start_with(RootKeys::new([1; 32], []), change).await;
    let mut clients = Vec::new();
    for device in ["d1", "d2", "d3"] {
        let mut client = ByHand::greeted(&running, running.credentials("s1", device)).await;
        let said = client.ask(ALLOCATE, &[UDP]).await;
        clients.push((client, said));
    }
    let outcomes: Vec<_> = clients.iter().map(|(_, said)| said.outcome()).collect();
    assert_eq!(outcomes, [Ok(()), Ok(()), Err(508)]);
    let (mut first, said) = clients.remove(0);
    let port = said.address(RELAYED).port();
    assert_eq!(first.ask(REFRESH, &[(LIFETIME, &[0; 4])]).await.outcome(), Ok(()));
    let mut next = ByHand::greeted(&running, running.credentials("s1", "d4")).await;
    assert_eq!(next.ask(ALLOCATE, &[UDP]).await.address(RELAYED).port(), port, "the one that became free");
    running.stop().await;
}

#[tokio::test]
async fn rel_3_in_a_range_that_is_nearly_given_out_every_port_is_found() {
    let ports = 31_000..=31_255;
    let change = |config: &mut switchhook_relay::RelayConfig| {
        config.ip = Ipv4Addr::new(127, 7, 7, 8).into();
        config.relayed_ports = Some(ports.clone());
    };
    let running = Running::start_with(RootKeys::new([1; 32], []), change).await;
    let mut holders = BTreeMap::new();
    for number in ports.clone() {
        let (client, relayed) = ByHand::allocated(&running, &format!("s{number}"), "d1").await;
        holders.insert(relayed.port(), client);
    }
    assert!(holders.keys().copied().eq(ports), "each once");
    let mut next = ByHand::greeted(&running, running.credentials("s1", "d1")).await;
    assert_eq!(next.ask(ALLOCATE, &[UDP]).await.outcome(), Err(508));

    // A pair is found, too, and nothing else that is free.
    for port in [31_101, 31_102, 31_200, 31_201] {
        let holder = holders.get_mut(&port).unwrap();
        assert_eq!(holder.ask(REFRESH, &[(LIFETIME, &[0; 4])]).await.outcome(), Ok(()));
    }
    let said = next.ask(ALLOCATE, &[UDP, (EVEN_PORT, &[0x80])]).await;
    assert_eq!(said.address(RELAYED).port(), 31_200);
    running.stop().await;
}

#[tokio::test]
async fn rel_3_what_a_tenant_may_not_have_any_more_its_neighbour_has() {
    let quota = Quota { each_tenant: 2, ..Quota::default() };
    let running = Running::start_with(RootKeys::new([1; 32], []), |config| {
        config.peers.allow_loopback = true;
        config.quota = quota;
        config.bandwidth.each_tenant = Rate { burst: 1_000, per_second: 1 };
    })
    .await;
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut clients = Vec::new();
    for (tenant, session) in [("acme", "s1"), ("acme", "s2"), ("globex", "s1"), ("globex", "s2")] {
        let mut client = ByHand::greeted(&running, running.credentials_of(tenant, session)).await;
        assert_eq!(client.ask(ALLOCATE, &[UDP]).await.outcome(), Ok(()), "{tenant}");
        clients.push(client);
    }
    let mut third = ByHand::greeted(&running, running.credentials_of("acme", "s3")).await;
    assert_eq!(third.ask(ALLOCATE, &[UDP]).await.outcome(), Err(486));

    let data = [&[0x40, 0, 1, 0x90][..], &[7; 400]].concat();
    // One tenant spends all of its own in two sessions; the other has what it had.
    for (client, times) in clients.iter_mut().zip([2, 2, 1, 1]) {
        let value = client.peer(&peer.local_addr().unwrap().to_string());
        let bind = [(CHANNEL_NUMBER, &[0x40, 0, 0, 0][..]), (PEER, &value)];
        assert_eq!(client.ask(CHANNEL_BIND, &bind).await.outcome(), Ok(()));
        for _ in 0..times {
            client.send(&data).await;
        }
        // The relay handles one datagram after the other: with this answer those before are done.
        assert_eq!(client.ask(REFRESH, &[]).await.outcome(), Ok(()));
    }
    let metrics = running.counted().await;
    assert_eq!((metrics.to_peer_packets.get(), metrics.limited_packets.get()), (4, 2));
}

#[tokio::test]
async fn rel_3_what_a_session_sends_beyond_its_bandwidth_is_lost() {
    let rate = Rate { burst: 1_000, per_second: 1 };
    let running = Running::start_with(RootKeys::new([1; 32], []), |config| {
        config.peers.allow_loopback = true;
        config.bandwidth.each_session = rate;
    })
    .await;
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (mut client, _) = ByHand::allocated(&running, "s1", "d1").await;
    let value = client.peer(&peer.local_addr().unwrap().to_string());
    let bind = [(CHANNEL_NUMBER, &[0x40, 0, 0, 0][..]), (PEER, &value)];
    assert_eq!(client.ask(CHANNEL_BIND, &bind).await.outcome(), Ok(()));

    let data = [&[0x40, 0, 1, 0x90][..], &[7; 400]].concat();
    for _ in 0..4 {
        client.send(&data).await;
    }
    // The relay handles one datagram after the other: with this answer those before are done.
    assert_eq!(client.ask(REFRESH, &[]).await.outcome(), Ok(()));
    let metrics = running.counted().await;
    assert_eq!((metrics.to_peer_packets.get(), metrics.limited_packets.get()), (2, 2));
}

#[tokio::test]
async fn rel_3_a_flood_of_strangers_is_answered_within_bounds_and_clients_are_served() {
    let strangers = Rate { burst: 10, per_second: 1 };
    let started = tokio::time::Instant::now();
    let running =
        Running::start_with(RootKeys::new([1; 32], []), |config| config.strangers = strangers).await;
    let (mut client, _) = ByHand::allocated(&running, "s1", "d1").await;
    for _ in 0..50 {
        let request = client.write(BINDING, &[], |_| ());
        client.send(&request).await;
    }
    let request = client.signed(REFRESH, &[]);
    client.send(&request).await;
    let mut answers = 0_u64;
    loop {
        let mut answer = [0; 1_500];
        let length = client.socket.recv(&mut answer).await.unwrap();
        let answer = Message::parse(&answer[..length]).unwrap();
        if answer.message_type() != BINDING | 0x100 {
            assert_eq!(answer.attribute(attribute::ERROR_CODE), None);
            break;
        }
        assert_eq!(answer.xor_mapped_address(), client.socket.local_addr().ok());
        answers += 1;
    }
    let refilled = started.elapsed().as_secs() + 1;
    assert!((9..=9 + refilled).contains(&answers), "{answers}: the greeting took one");
    assert_eq!(running.counted().await.strangers_refused.get(), 50 - answers);
}

#[tokio::test]
async fn rel_3_of_what_comes_merged_as_much_is_relayed_as_fits() {
    let running = Running::start_with(RootKeys::new([1; 32], []), |config| {
        config.peers.allow_loopback = true;
        config.bandwidth.each_session = Rate { burst: 1_000, per_second: 1 };
    })
    .await;
    let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (mut client, relayed) = ByHand::allocated(&running, "s1", "d1").await;
    let value = client.peer(&peer.local_addr().unwrap().to_string());
    assert_eq!(client.ask(CREATE_PERMISSION, &[(PEER, &value)]).await.outcome(), Ok(()));

    // The kernel hands these on as they are: in one piece, for the relay to cut.
    setsockopt(&peer, UdpGsoSegment, &400).unwrap();
    peer.send_to(&[7; 4 * 400], relayed).unwrap();
    let mut told = [0; 1_500];
    for _ in 0..2 {
        let length = timeout(GUARD, client.socket.recv(&mut told)).await.expect("data").unwrap();
        assert_eq!(Message::parse(&told[..length]).unwrap().attribute(DATA).map(<[u8]>::len), Some(400));
    }
    let metrics = running.counted().await;
    assert_eq!((metrics.from_peer_packets.get(), metrics.limited_packets.get()), (2, 2));
}

#[tokio::test]
async fn rel_3_after_ten_thousand_allocations_and_silence_nothing_is_left() {
    const MANY: u16 = 10_000;
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let running = Running::start_with(RootKeys::new([1; 32], []), |config| {
        // All its ports are this test's.
        config.ip = Ipv4Addr::new(127, 7, 7, 8).into();
        config.quota = Quota { each_session: MANY.into(), each_participant: MANY.into(), ..Quota::default() };
        config.strangers = Rate::UNLIMITED;
        // So that each has many.
        config.shards = 2;
    })
    .await;
    let credentials = running.credentials("s1", "d1");
    let (files, memory) = (files(), resident());
    for number in 0..MANY {
        let [high, low] = number.to_be_bytes();
        let mut client = ByHand::new(&running, credentials.clone()).await;
        let from = SocketAddr::from(([127, 1, high, low], 0));
        client.socket = UdpSocket::bind(from).await.unwrap();
        client.nonce = client.ask_unsigned(ALLOCATE, &[UDP]).await.value(attribute::NONCE);
        assert_eq!(client.ask(ALLOCATE, &[UDP]).await.outcome(), Ok(()), "{number}");
    }
    assert_eq!(running.relay.allocations(), usize::from(MANY));
    assert_eq!(self::files(), files + usize::from(MANY));
    let held = resident().saturating_sub(memory);

    tokio::time::pause();
    tokio::time::advance(Duration::from_mins(11)).await;
    while running.relay.allocations() > 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::resume();
    assert_eq!(self::files(), files);
    assert!(running.relay.participants().is_empty());
    // A shard gives memory back after it has counted, and before it ends.
    running.stop().await;
    let left = resident().saturating_sub(memory);
    println!("resident: {held} KiB with all of them, {left} KiB when they are gone");
    assert!(left < held / 2, "{left} of {held} KiB are left");
}

/// Memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Files that this process has open.
fn files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

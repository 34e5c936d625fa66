//! CDX over real sockets: asked by hand, and by coturn's STUN client.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "test harness")]

use std::{net::SocketAddr, process::Stdio, sync::Arc, time::Duration};

use rand::{SeedableRng as _, rngs::StdRng};
use switchhook_cdx::{BindError, Cdx, CdxConfig, Metrics};
use switchhook_core::{
    observation::{Observation, judge},
    seal::{KeyRing, RootKeys, Scope},
    stun::{Message, Writer, message_type},
};
use switchhook_protocol::{
    cdx::{OBSERVATION, OBSERVATION_REQUEST, REQUEST_PADDING},
    connection_data::Mapping,
    time::Timestamp,
};
use tokio::{net::UdpSocket, process::Command, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// Only a broken CDX is waited for this long.
const GUARD: Duration = Duration::from_secs(20);

#[tokio::test]
async fn nat_1_both_ports_tell_a_socket_where_it_was_seen() {
    let cdx = Running::start().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut observations = Vec::new();

    for addr in cdx.addrs {
        let answer = ask(&socket, addr, &request(REQUEST_PADDING)).await;
        let answer = Message::parse(&answer).unwrap();
        assert_eq!(answer.xor_mapped_address(), Some(socket.local_addr().unwrap()));
        let sealed = str::from_utf8(answer.attribute(OBSERVATION).unwrap()).unwrap();
        observations.push(Observation::open(&keys(), sealed, NOW).unwrap());
    }

    let seen = judge(&observations, [socket.local_addr().unwrap()]);
    assert_eq!(seen.mapping, Mapping::None);
    assert_eq!(seen.external, Some(socket.local_addr().unwrap()));
    assert_eq!(cdx.metrics.observation.get(), 2);
    cdx.stop().await;
}

#[tokio::test]
async fn what_is_not_stun_is_dropped_and_the_next_request_answered() {
    let cdx = Running::start().await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.send_to(b"hello", cdx.addrs[0]).await.unwrap();
    socket.send_to(&[0; 3000], cdx.addrs[0]).await.unwrap();

    let answer = ask(&socket, cdx.addrs[0], &request(0)).await;

    assert!(Message::parse(&answer).unwrap().attribute(OBSERVATION).is_none());
    assert_eq!((cdx.metrics.not_stun.get(), cdx.metrics.binding.get()), (2, 1));
    cdx.stop().await;
}

#[tokio::test]
async fn nat_1_coturns_stun_client_learns_its_address() {
    let cdx = Running::start().await;
    for addr in cdx.addrs {
        let client = Command::new("turnutils_stunclient")
            .args(["-p", &addr.port().to_string(), "127.0.0.1"])
            .stdin(Stdio::null())
            .output();
        let Ok(output) = timeout(GUARD, client).await.expect("the client ends") else {
            println!(
                "skipped: nat_1_coturns_stun_client_learns_its_address: turnutils_stunclient is not installed"
            );
            return;
        };
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("UDP reflexive addr: 127.0.0.1:"), "{text}");
    }
    assert!(cdx.metrics.binding.get() >= 2);
    cdx.stop().await;
}

#[tokio::test]
async fn one_port_twice_is_refused() {
    let config = CdxConfig { ports: [3479, 3479], ..CdxConfig::default() };
    let mut rng = StdRng::seed_from_u64(1);
    let refused = Cdx::bind(&config, keys(), Arc::new(|| NOW), &mut rng).await;
    assert!(matches!(refused, Err(BindError::SamePort(3479))));
}

struct Running {
    addrs: [SocketAddr; 2],
    metrics: Metrics,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Running {
    async fn start() -> Self {
        let config = CdxConfig { ports: [0, 0], ..CdxConfig::default() };
        let mut rng = StdRng::seed_from_u64(1);
        let cdx = Cdx::bind(&config, keys(), Arc::new(|| NOW), &mut rng).await.unwrap();
        let (addrs, metrics) = (cdx.addrs(), cdx.metrics().clone());
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        cdx.run(&tracker, &stop);
        Self { addrs, metrics, tracker, stop }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.tracker.close();
        timeout(GUARD, self.tracker.wait()).await.expect("both ports stop");
    }
}

fn keys() -> KeyRing {
    RootKeys::new([1; 32], []).ring(Scope::Cdx)
}

fn request(padding: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, message_type::BINDING_REQUEST, [7; 12]);
    writer.attribute(OBSERVATION_REQUEST, &vec![0; padding]);
    out
}

async fn ask(socket: &UdpSocket, addr: SocketAddr, request: &[u8]) -> Vec<u8> {
    socket.send_to(request, addr).await.unwrap();
    let mut answer = vec![0; 1500];
    let received = timeout(GUARD, socket.recv_from(&mut answer)).await.expect("an answer").unwrap();
    answer.truncate(received.0);
    answer
}

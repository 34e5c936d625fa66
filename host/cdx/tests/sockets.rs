//! CDX over real sockets: asked by hand, and by coturn's STUN client. The lab asks it through NATs.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "test harness")]

use std::{net::SocketAddr, process::Stdio, sync::Arc, time::Duration};

use prometheus_client::{encoding::text::encode, metrics::counter::Counter, registry::Registry};
use rand::{SeedableRng as _, rngs::StdRng};
use switchhook_cdx::{BindError, Cdx, CdxConfig, Clock, Ip, Metrics};
use switchhook_core::{
    connection_key::ConnectionKey,
    exchange::{ExchangeTicket, TICKET_LIFE, Whereabouts, bytes_of},
    observation::{Observation, judge},
    rate::Rate,
    seal::{KeyRing, RootKeys, Scope},
    stun::{Message, Writer, attribute, message_type},
};
use switchhook_protocol::{
    cdx::{OBSERVATION, OBSERVATION_REQUEST, REQUEST_PADDING, own},
    connection_data::Mapping,
    exchange::ToCdx,
    time::Timestamp,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream, UdpSocket},
    process::Command,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// Only a broken CDX is waited for this long.
const GUARD: Duration = Duration::from_secs(20);

#[tokio::test]
async fn nat_1_both_ports_tell_a_socket_where_it_was_seen() {
    let cdx = Running::start();
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
    let cdx = Running::start();
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
    let cdx = Running::start();
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

/// NAT-1.filtering
#[tokio::test]
async fn coturns_discovery_is_told_all_that_it_needs() {
    let cdx = Running::start_with(Some("127.0.0.2"));
    let port = cdx.addrs[0].port().to_string();
    let client = Command::new("turnutils_natdiscovery")
        .args(["-m", "-f", "-p", &port, "127.0.0.1"])
        .stdin(Stdio::null())
        .output();
    let Ok(output) = timeout(GUARD, client).await.expect("the client ends") else {
        println!(
            "skipped: coturns_discovery_is_told_all_that_it_needs: turnutils_natdiscovery is not installed"
        );
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("NAT with Endpoint Independent Mapping!"), "{text}");
    assert!(text.contains("NAT with Endpoint Independent Filtering!"), "{text}");
    cdx.stop().await;
}

#[tokio::test]
async fn one_port_twice_is_refused() {
    let config = CdxConfig { ports: [3479, 3479], ..CdxConfig::default() };
    let mut rng = StdRng::seed_from_u64(1);
    let refused = Cdx::bind(&config, &keys(), &clock(), &mut rng);
    assert!(matches!(refused, Err(BindError::SamePort(3479))));
}

#[tokio::test]
async fn the_other_address_is_of_the_same_family_and_another_one() {
    let refused = async |public: Option<&str>, other: &str, other_public: Option<&str>| {
        let ip = |bind: &str, public: Option<&str>| Ip {
            bind: bind.parse().unwrap(),
            public: public.map(|public| public.parse().unwrap()),
        };
        let (ip, other_ip) = (ip("127.0.0.1", public), Some(ip(other, other_public)));
        let config = CdxConfig { ip, other_ip, ports: [0, 0], ..CdxConfig::default() };
        let mut rng = StdRng::seed_from_u64(1);
        Cdx::bind(&config, &keys(), &clock(), &mut rng).expect_err("refused")
    };
    let public = Some("192.0.2.1");
    assert!(matches!(refused(None, "127.0.0.1", None).await, BindError::SameIp(_)));
    assert!(matches!(refused(public, "127.0.0.1", Some("192.0.2.2")).await, BindError::SameIp(_)));
    assert!(matches!(refused(public, "127.0.0.2", public).await, BindError::SameIp(_)));
    assert!(matches!(refused(Some("127.0.0.2"), "127.0.0.2", None).await, BindError::SameIp(_)));
    assert!(matches!(refused(None, "::1", None).await, BindError::Families(..)));
    assert!(matches!(refused(None, "127.0.0.2", Some("::1")).await, BindError::Families(..)));
}

/// NAT-1.filtering
#[tokio::test]
async fn with_two_addresses_an_answer_comes_from_each_of_four_places() {
    let cdx = Running::start_with(Some("127.0.0.2"));
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let [p, q] = cdx.addrs.map(|addr| addr.port());
    let wanted = [("127.0.0.1", p), ("127.0.0.1", q), ("127.0.0.2", p), ("127.0.0.2", q)];
    for (flags, wanted) in [0, 0b010, 0b100, 0b110_u32].into_iter().zip(wanted) {
        let mut request = Vec::new();
        let mut writer = Writer::new(&mut request, message_type::BINDING_REQUEST, [7; 12]);
        writer.attribute(attribute::CHANGE_REQUEST, &flags.to_be_bytes());
        socket.send_to(&request, cdx.addrs[0]).await.unwrap();
        let (_, from) = timeout(GUARD, socket.recv_from(&mut [0; 1500])).await.expect("an answer").unwrap();
        assert_eq!(from, SocketAddr::new(wanted.0.parse().unwrap(), wanted.1));
    }
    cdx.stop().await;
}

#[tokio::test]
async fn a_stream_is_answered_message_by_message_and_ended_when_it_breaks_the_rules() {
    let cdx = Running::start();
    for addr in cdx.addrs {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        for _ in 0..3 {
            stream.write_all(&request(REQUEST_PADDING)).await.unwrap();
            let mut answer = [0; 32];
            timeout(GUARD, stream.read_exact(&mut answer)).await.expect("an answer").unwrap();
            let mapped = Message::parse(&answer).unwrap().xor_mapped_address();
            assert_eq!(mapped, Some(stream.local_addr().unwrap()));
        }
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut rest = Vec::new();
        // Closed, or reset because it was still sending: no byte more either way.
        _ = timeout(GUARD, stream.read_to_end(&mut rest)).await.expect("the end");
        assert_eq!(rest, b"");
    }
    assert_eq!((cdx.metrics.binding.get(), cdx.metrics.not_stun.get()), (6, 2));
    cdx.stop().await;
}

#[tokio::test]
async fn nat_1_a_flood_is_answered_within_bounds_never_by_more_than_was_asked_and_others_are_served() {
    const FLOOD: usize = 200;
    let begun = tokio::time::Instant::now();
    let rate = Rate { burst: 10, per_second: 1 };
    let cdx = Running::with(CdxConfig { ports: [0, 0], rate, ..CdxConfig::default() });
    let flooding = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let question = request(REQUEST_PADDING);
    for _ in 0..FLOOD {
        flooding.send_to(&question, cdx.addrs[0]).await.unwrap();
    }

    // A port handles one datagram after the other: with this answer those before are done.
    let other = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    let answer = ask(&other, cdx.addrs[0], &question).await;
    assert!(Message::parse(&answer).is_ok());
    let (mut answers, mut datagram) = (0, [0; 1_500]);
    while let Ok(length) = flooding.try_recv(&mut datagram) {
        assert!(length <= question.len(), "{length} for {}", question.len());
        answers += 1;
    }
    let refilled = begun.elapsed().as_secs() + 1;
    assert!((1..=10 + refilled).contains(&answers), "{answers}");
    // What came while the socket's buffer was full is not even counted.
    let seen = cdx.metrics.limited.get() + answers;
    assert!((11..=u64::try_from(FLOOD).unwrap()).contains(&seen), "{seen}");
    cdx.stop().await;
}

#[tokio::test]
async fn streams_that_say_nothing_are_bounded_and_end_when_cdx_stops() {
    let cdx = Running::start();
    let mut silent = Vec::new();
    for host in 1..=9 {
        for _ in 0..32 {
            silent.push(connect(host, cdx.addrs[0]).await);
        }
    }
    while cdx.metrics.streams_refused.get() < 32 {
        tokio::task::yield_now().await;
    }
    cdx.stop().await;
}

#[tokio::test]
async fn the_streams_of_one_address_leave_room_for_another() {
    let cdx = Running::start();
    let mut silent = Vec::new();
    while cdx.metrics.streams_refused.get() == 0 {
        silent.push(connect(1, cdx.addrs[0]).await);
        tokio::task::yield_now().await;
    }

    let mut other = connect(2, cdx.addrs[0]).await;
    other.write_all(&request(0)).await.unwrap();
    let mut answer = [0; 32];
    timeout(GUARD, other.read_exact(&mut answer)).await.expect("an answer").unwrap();

    assert!(Message::parse(&answer).is_ok());
    cdx.stop().await;
}

#[test]
fn a_refused_stream_is_a_counter_of_its_own_and_no_datagram() {
    let (metrics, mut registry) = (Metrics::default(), Registry::default());
    metrics.register(&mut registry);
    metrics.streams_refused.inc();
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    assert!(text.contains("\nswitchhook_cdx_streams_refused_total 1\n"), "{text}");
    assert!(!text.contains("stream-refused"), "{text}");
}

/// NAT-2.exchange
#[tokio::test]
async fn nat_2_a_participant_has_the_other_told_by_a_cdx_that_was_restarted_meanwhile() {
    let before = Running::start();
    let (alice, bob) = (bound().await, bound().await);
    let to = before.addrs[0];
    let datagram = told(&ticket([&alice, &bob], to), b"here I am");
    before.stop().await;
    let cdx = Running::at(to);

    alice.send_to(&datagram, to).await.unwrap();

    let mut heard = [0; 1500];
    let (length, from) = timeout(GUARD, bob.recv_from(&mut heard)).await.expect("it is handed on").unwrap();
    assert_eq!((&heard[..length], from), (&b"\xC3\x00here I am"[..], to));
    assert!(length < datagram.len());
    assert_eq!(cdx.metrics.handed_on.get(), 1);
    cdx.stop().await;
}

#[tokio::test]
async fn nat_2_what_no_ticket_allows_is_dropped_and_counted_and_nothing_is_handed_on() {
    let cdx = Running::start();
    let (alice, bob, mallory) = (bound().await, bound().await, bound().await);
    let to = cdx.addrs[0];
    let good = ticket([&alice, &bob], to);
    let mut changed = told(&good, b"x");
    changed[40] ^= 1;
    let late = ExchangeTicket { expires_at: NOW, ..good.clone() };
    let elsewhere = ExchangeTicket { cdx: cdx.addrs[1], ..good.clone() };
    for (from, datagram) in [
        (&alice, changed),
        (&alice, told(&late, b"x")),
        (&alice, told(&elsewhere, b"x")),
        (&mallory, told(&good, b"x")),
        (&alice, vec![0xC2, 0, 200, 1]),
    ] {
        from.send_to(&datagram, to).await.unwrap();
    }
    // Whatever was sent before this has been judged before this is handed on.
    alice.send_to(&told(&good, b"good"), to).await.unwrap();

    let mut heard = [0; 1500];
    let (length, _) = timeout(GUARD, bob.recv_from(&mut heard)).await.expect("it is handed on").unwrap();
    assert_eq!(&heard[2..length], b"good", "nothing came before it");
    let Metrics { forged, expired, other_cdx, other_source, malformed, handed_on, .. } = &cdx.metrics;
    let counted = [forged, expired, other_cdx, other_source, malformed, handed_on].map(Counter::get);
    assert_eq!(counted, [1; 6]);
    cdx.stop().await;
}

#[tokio::test]
async fn nat_2_a_ticket_that_is_replayed_again_and_again_is_handed_on_a_few_times() {
    let cdx = Running::start();
    let (alice, bob) = (bound().await, bound().await);
    let datagram = told(&ticket([&alice, &bob], cdx.addrs[0]), b"x");
    for _ in 0..200 {
        alice.send_to(&datagram, cdx.addrs[0]).await.unwrap();
    }
    // The last one says that all have been judged: this port answers in turn.
    ask(&alice, cdx.addrs[0], &request(0)).await;
    let (handed, repeated) = (cdx.metrics.handed_on.get(), cdx.metrics.repeated.get());
    assert!(handed + repeated <= 200 && repeated > 0, "{handed} handed on, {repeated} not");
    assert!((16..50).contains(&handed), "{handed} of 200");
    cdx.stop().await;
}

/// NAT-2.own
#[tokio::test]
async fn nat_2_a_client_asks_both_ports_under_its_key_and_a_repeated_question_is_not_answered() {
    let cdx = Running::start();
    let socket = bound().await;
    let (tenant, device) = ("acme".parse().unwrap(), "d1".parse().unwrap());
    let mut rng = StdRng::seed_from_u64(5);
    let given = ConnectionKey::give((&tenant, &device), (&keys(), NOW), &mut rng);
    let handle = bytes_of(&given.handle).unwrap();
    let key = ConnectionKey::open(&keys(), &handle).unwrap();
    let mut question = |number| {
        let plain = format!(r#"{{"number":{number},"padding":"{}"}}"#, "0".repeat(own::PADDING));
        let (nonce, sealed) = key.seal_message(plain.as_bytes(), own::QUESTION, &mut rng).unwrap();
        own::Asked { handle: &handle, nonce: &nonce, sealed: &sealed }.write().unwrap()
    };

    for (number, addr) in [(1, cdx.addrs[0]), (2, cdx.addrs[1])] {
        let datagram = question(number);
        let answer = ask(&socket, addr, &datagram).await;
        assert!(answer.len() <= datagram.len());
        let own::Answered { nonce, sealed } = own::Answered::read(&answer).unwrap();
        let plain = key.open_message(nonce, sealed, own::ANSWER).unwrap();
        let answer: own::Answer = serde_json::from_slice(&plain).unwrap();
        assert_eq!((answer.number, answer.observed), (number, socket.local_addr().unwrap()));
        assert_eq!(Observation::open(&keys(), &answer.sealed, NOW).unwrap().cdx, addr);
    }
    assert_eq!(cdx.metrics.secret.get(), 2);

    let repeated = question(3);
    ask(&socket, cdx.addrs[0], &repeated).await;
    let mut changed = question(4);
    let last = changed.len() - 1;
    changed[last] ^= 1;
    for dropped in [&repeated, &changed, &repeated[..repeated.len() - 1].to_vec()] {
        socket.send_to(dropped, cdx.addrs[0]).await.unwrap();
    }
    // This port answers in turn: the next answer is to what comes next.
    let answer = ask(&socket, cdx.addrs[0], &request(0)).await;
    assert!(Message::parse(&answer).is_ok(), "nothing was said in between");
    assert_eq!((cdx.metrics.question_repeated.get(), cdx.metrics.question_forged.get()), (1, 2));
    cdx.stop().await;
}

/// NAT-1.mapping
#[tokio::test]
async fn nat_1_over_ipv6_too_both_ports_tell_a_socket_where_it_was_seen() {
    let Ok(socket) = UdpSocket::bind("[::1]:0").await else {
        println!("skipped: nat_1_over_ipv6_too_both_ports_tell_a_socket_where_it_was_seen: no IPv6 here");
        return;
    };
    let other_family = Some(Ip { bind: "::1".parse().unwrap(), public: None });
    let cdx = Running::with(CdxConfig { other_family, ports: [0, 0], ..CdxConfig::default() });
    let over_v6 = cdx.other_family.expect("both ports");
    assert_eq!(over_v6.map(|addr| addr.port()), cdx.addrs.map(|addr| addr.port()));
    for addr in over_v6 {
        let answer = ask(&socket, addr, &request(REQUEST_PADDING)).await;
        let message = Message::parse(&answer).unwrap();
        let sealed = String::from_utf8(message.attribute(OBSERVATION).unwrap().to_vec()).unwrap();
        let seen = Observation::open(&keys(), &sealed, NOW).unwrap();
        assert_eq!((seen.observed, seen.cdx), (socket.local_addr().unwrap(), addr));
    }
    ask(&bound().await, cdx.addrs[0], &request(0)).await;
    cdx.stop().await;
}

#[tokio::test]
async fn the_address_of_the_other_family_is_of_the_other_one() {
    let other_family = Some(Ip { bind: "127.0.0.2".parse().unwrap(), public: None });
    let config = CdxConfig { other_family, ports: [0, 0], ..CdxConfig::default() };
    let mut rng = StdRng::seed_from_u64(1);
    let refused = Cdx::bind(&config, &keys(), &clock(), &mut rng);
    assert!(matches!(refused, Err(BindError::SameFamily(..))));
}

async fn bound() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

/// The first one's ticket.
fn ticket(participants: [&UdpSocket; 2], cdx: SocketAddr) -> ExchangeTicket {
    let whereabouts = |socket: &UdpSocket| Whereabouts {
        device: "d".parse().unwrap(),
        addr: socket.local_addr().unwrap(),
        at: NOW,
    };
    ExchangeTicket {
        session: "s1".parse().unwrap(),
        generation: 1,
        place: 0,
        participants: participants.map(whereabouts).to_vec(),
        cdx,
        expires_at: NOW.after(TICKET_LIFE),
    }
}

fn told(ticket: &ExchangeTicket, payload: &[u8]) -> Vec<u8> {
    let sealed = bytes_of(&ticket.seal(&keys(), &mut StdRng::seed_from_u64(2))).unwrap();
    ToCdx { ticket: &sealed, payload }.write().unwrap()
}

struct Running {
    addrs: [SocketAddr; 2],
    other_family: Option<[SocketAddr; 2]>,
    metrics: Metrics,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Running {
    fn start() -> Self {
        Self::start_with(None)
    }

    fn start_with(other_ip: Option<&str>) -> Self {
        let other_ip = other_ip.map(|ip| Ip { bind: ip.parse().unwrap(), public: None });
        Self::with(CdxConfig { other_ip, ports: [0, 0], ..CdxConfig::default() })
    }

    /// One of whose ports is this one.
    fn at(addr: SocketAddr) -> Self {
        Self::with(CdxConfig { ports: [addr.port(), 0], ..CdxConfig::default() })
    }

    fn with(config: CdxConfig) -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let cdx = Cdx::bind(&config, &keys(), &clock(), &mut rng).unwrap();
        let (addrs, other_family, metrics) = (cdx.addrs(), cdx.other_family(), cdx.metrics().clone());
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        cdx.run(&tracker, &stop);
        Self { addrs, other_family, metrics, tracker, stop }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.tracker.close();
        timeout(GUARD, self.tracker.wait()).await.expect("both ports stop");
    }
}

/// A stream from this address of loopback.
async fn connect(host: u8, addr: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, host], 0))).unwrap();
    socket.connect(addr).await.unwrap()
}

fn clock() -> Clock {
    Arc::new(|| NOW)
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

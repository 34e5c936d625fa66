//! Two clients' call over real sockets on loopback: checks, handshake and data, without a relay.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "helpers of tests, which the lint does not know as such"
)]

use core::{
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use switchhook_client::{
    Client, Events,
    call::{Call, CallFailed, MAX_DATAGRAM, Prepared, SendError, Side},
    fake::{FakeConnection, FakeHost},
    identity::DeviceKey,
    network::{Connecting, DatagramSocket, Network, SystemNetwork, nat::SymmetricNat},
};
use switchhook_protocol::{
    call::{Done, Operation, PathKind, PathReport},
    connection_data::Candidate,
    error::ErrorCode,
    invitation::Accepted,
    peer::{Guessing, Path, Peer},
};
use tokio::{io::ReadBuf, sync::mpsc, task::JoinSet, time::Instant};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A device with its way out, at a host that takes reports and has no relay.
struct Device {
    client: Client,
    events: Events,
    network: Arc<dyn Network>,
    prepared: Prepared,
    heard: mpsc::Receiver<Operation>,
    serving: JoinSet<()>,
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), Box::pin(what)).await.expect("it happens in time")
}

impl Device {
    async fn new(host: &FakeHost, network: Arc<dyn Network>) -> Self {
        let key = DeviceKey::generate(&mut rand::rng());
        let identity = soon(Client::enrol(&host.settings(), key)).await.unwrap();
        let (client, events) = soon(Client::connect(host.settings(), identity)).await.unwrap();
        let connection = soon(host.next_connection()).await.unwrap();
        let (sender, heard) = mpsc::channel(8);
        let serving = JoinSet::from_iter([serve(connection, sender)]);
        let prepared = soon(Prepared::new(&client, &*network)).await.unwrap();
        Self { client, events, network, prepared, heard, serving }
    }

    fn peer(&self) -> Peer {
        Peer {
            alias: "alias".into(),
            endpoint: "+15550100".parse().unwrap(),
            device_key: self.client.identity().key.public(),
            session_key: self.prepared.session_key().clone(),
        }
    }

    fn candidates(&self) -> Vec<Candidate> {
        self.prepared.connection_data().claimed.host_candidates.clone()
    }
}

/// Answers what a host answers that has no relay.
async fn serve(mut connection: FakeConnection, heard: mpsc::Sender<Operation>) {
    while let Some((id, operation)) = connection.next_request().await {
        let answered = match &operation {
            Operation::RelayRequest(_) => connection.refuse(&id, ErrorCode::NoRelay).await,
            Operation::RegisterBegin(_)
            | Operation::RegisterAnswer(_)
            | Operation::RegisterCode(_)
            | Operation::RegisterValidate(_)
            | Operation::RegisterLink(_)
            | Operation::RegisterList(_)
            | Operation::RegisterRevoke(_)
            | Operation::Invite(_)
            | Operation::Ringing(_)
            | Operation::Accept(_)
            | Operation::Take(_)
            | Operation::Decline(_)
            | Operation::Cancel(_)
            | Operation::Stopped(_)
            | Operation::InviteUpdate(_)
            | Operation::SessionUpdate(_)
            | Operation::End(_)
            | Operation::ConnectionDataChanged(_)
            | Operation::RelayUpdate(_)
            | Operation::PathReport(_)
            | Operation::Block(_)
            | Operation::Unblock(_)
            | Operation::Blocked(_)
            | Operation::SessionAsk(_)
            | Operation::SessionRefuse(_)
            | Operation::SessionRenew(_)
            | Operation::PushTokenRenew(_)
            | Operation::CompleteNumber(_)
            | Operation::Carriers(_)
            | Operation::Sync(_) => connection.answer(&id, &Done {}).await,
        };
        if answered.is_err() || heard.send(operation).await.is_err() {
            return;
        }
    }
}

fn accepted(peer: Peer, candidates: Vec<Candidate>, media_key: &str) -> Accepted {
    Accepted {
        session: "s1".parse().unwrap(),
        ticket: "ticket".into(),
        peer,
        path: Path::Direct {
            candidates,
            patience_ms: Some(1_500),
            exchange: None,
            guessing: Guessing::default(),
        },
        media_key: media_key.into(),
        retry: false,
        awaits_take: false,
    }
}

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const OTHER_KEY: &str = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

async fn pair(host: &FakeHost, inviter: Arc<dyn Network>, callee: Arc<dyn Network>) -> [Device; 2] {
    let (inviter, callee) = tokio::join!(Device::new(host, inviter), Device::new(host, callee));
    [inviter, callee]
}

type Started = Result<Call, CallFailed>;

/// Starts the call on both sides; what each heard afterwards can be asked of the receivers.
async fn start(
    [inviter, callee]: [Device; 2],
    keys: [&str; 2],
) -> ([Started; 2], [(Client, mpsc::Receiver<Operation>, (Events, JoinSet<()>)); 2]) {
    let to_inviter = accepted(callee.peer(), callee.candidates(), keys[0]);
    let to_callee = accepted(inviter.peer(), inviter.candidates(), keys[1]);
    let one = Call::start(&inviter.client, inviter.network, inviter.prepared, Side::Inviter, to_inviter);
    let two = Call::start(&callee.client, callee.network, callee.prepared, Side::Callee, to_callee);
    let (one, two) = soon(async { tokio::join!(one, two) }).await;
    let rest = [
        (inviter.client, inviter.heard, (inviter.events, inviter.serving)),
        (callee.client, callee.heard, (callee.events, callee.serving)),
    ];
    ([one, two], rest)
}

fn system() -> Arc<dyn Network> {
    Arc::new(SystemNetwork::on(LOOPBACK))
}

fn symmetric() -> Arc<dyn Network> {
    Arc::new(SymmetricNat::new(LOOPBACK))
}

/// Sends until the other side has it: a datagram may be lost.
async fn carries(from: &Call, to: &mut Call, payload: &[u8]) {
    let receive = async { while to.recv().await.expect("the call is open") != payload {} };
    let send = async {
        let mut again = tokio::time::interval(Duration::from_millis(50));
        loop {
            again.tick().await;
            from.send(payload).unwrap();
        }
    };
    soon(async {
        tokio::select! {
            () = receive => {}
            () = send => {}
        }
    })
    .await;
}

#[tokio::test]
async fn nat_1_both_ports_of_cdx_see_the_socket_that_will_carry_the_data() {
    let host = FakeHost::start().await.unwrap();
    let plain = Device::new(&host, system()).await;
    let own = plain.candidates()[0].address.to_string();
    assert_eq!(plain.prepared.connection_data().observed, [own.clone(), own]);
    let hidden = Device::new(&host, symmetric()).await;
    let observed = &hidden.prepared.connection_data().observed;
    assert_eq!(observed.len(), 2);
    assert_ne!(observed[0], observed[1]);
}

#[tokio::test]
async fn inv_5_two_clients_meet_directly_and_bytes_flow_both_ways() {
    let host = FakeHost::start().await.unwrap();
    let devices = pair(&host, system(), system()).await;
    let ([one, two], [mut inviter, mut callee]) = start(devices, [KEY, KEY]).await;
    let (mut one, mut two) = (one.unwrap(), two.unwrap());
    assert_eq!((one.path(), two.path()), (Some(PathKind::Direct), Some(PathKind::Direct)));

    carries(&one, &mut two, b"hello").await;
    carries(&two, &mut one, &[7; MAX_DATAGRAM]).await;
    assert_eq!(one.send(&[0; MAX_DATAGRAM + 1]), Err(SendError::TooLarge));
    for heard in [&mut inviter.1, &mut callee.1] {
        let Operation::PathReport(report) = soon(heard.recv()).await.unwrap() else { panic!("a report") };
        let PathReport { ticket, path, .. } = *report;
        assert_eq!((ticket.as_str(), path), ("ticket", PathKind::Direct));
    }

    let sender = two.sender();
    soon(one.close()).await;
    assert_eq!(soon(two.recv()).await.as_deref().filter(|late| *late != b"hello"), None);
    while soon(two.recv()).await.is_some() {}
    assert_eq!((two.path(), sender.send(b"x")), (None, Err(SendError::Over)));
}

#[tokio::test]
async fn inv_5_a_client_behind_a_symmetric_nat_meets_one_without_by_its_observed_source() {
    let host = FakeHost::start().await.unwrap();
    for (inviter, callee) in [(symmetric(), system()), (system(), symmetric())] {
        let devices = pair(&host, inviter, callee).await;
        let ([one, two], _rest) = start(devices, [KEY, KEY]).await;
        let (mut one, mut two) = (one.unwrap(), two.unwrap());
        assert_eq!((one.path(), two.path()), (Some(PathKind::Direct), Some(PathKind::Direct)));
        carries(&one, &mut two, b"hello").await;
        carries(&two, &mut one, b"hello").await;
    }
}

#[tokio::test]
async fn nat_4_two_clients_behind_symmetric_nats_do_not_meet_and_the_relay_is_asked_for() {
    let host = FakeHost::start().await.unwrap();
    let mut devices = pair(&host, symmetric(), symmetric()).await;
    for device in &mut devices {
        assert!(device.candidates().is_empty(), "a client behind it offers no address");
    }
    let ([one, two], rest) = start(devices, [KEY, KEY]).await;
    for started in [one, two] {
        let Err(CallFailed::Host(switchhook_client::CallError::Refused(error))) = started else {
            panic!("this host has no relay: {started:?}")
        };
        assert_eq!(error.code, ErrorCode::NoRelay);
    }
    for (_, mut heard, _) in rest {
        assert_eq!(soon(heard.recv()).await.map(|operation| operation.op()), Some("relay.request"));
    }
}

#[tokio::test]
async fn two_clients_with_different_media_keys_do_not_meet() {
    let host = FakeHost::start().await.unwrap();
    let devices = pair(&host, system(), system()).await;
    let ([one, two], _rest) = start(devices, [KEY, OTHER_KEY]).await;
    assert!(one.is_err() && two.is_err());
}

#[tokio::test]
async fn a_peer_whose_session_key_its_device_key_has_not_signed_is_not_called() {
    let host = FakeHost::start().await.unwrap();
    let [inviter, callee] = pair(&host, system(), system()).await;
    let mut peer = callee.peer();
    peer.device_key = DeviceKey::generate(&mut rand::rng()).public();
    let foreign = accepted(peer, callee.candidates(), KEY);
    let call = Call::start(&inviter.client, inviter.network, inviter.prepared, Side::Inviter, foreign);
    assert!(matches!(soon(call).await, Err(CallFailed::Key(_))));
}

#[tokio::test]
async fn a_call_ends_without_waiting_though_its_network_and_the_host_are_away() {
    let host = FakeHost::start().await.unwrap();
    let away = Arc::new(AtomicBool::new(false));
    let ways = [(); 2].map(|()| Arc::new(Cuttable { away: Arc::clone(&away) }));
    let [one, two] = ways;
    let devices = pair(&host, one, two).await;
    let ([one, two], rest) = start(devices, [KEY, KEY]).await;
    let (one, mut two) = (one.unwrap(), two.unwrap());
    carries(&one, &mut two, b"hello").await;

    away.store(true, Ordering::Relaxed);
    drop((host, rest));
    // From here on a moment passes only where something is waited for.
    tokio::time::pause();
    let begun = Instant::now();
    one.close().await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let sender = two.sender();
    drop(two);
    while sender.send(b"x").is_ok() {
        tokio::task::yield_now().await;
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

/// The system's network until it is away: then nothing leaves and nothing comes.
#[derive(Debug)]
struct Cuttable {
    away: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Cut {
    socket: Arc<dyn DatagramSocket>,
    away: Arc<AtomicBool>,
}

impl Network for Cuttable {
    fn bind(&self) -> io::Result<Arc<dyn DatagramSocket>> {
        let socket = SystemNetwork::on(LOOPBACK).bind()?;
        Ok(Arc::new(Cut { socket, away: Arc::clone(&self.away) }))
    }

    fn connect(&self, to: SocketAddr) -> Connecting {
        if self.away.load(Ordering::Relaxed) {
            return Box::pin(async { Err(io::ErrorKind::NetworkUnreachable.into()) });
        }
        SystemNetwork::on(LOOPBACK).connect(to)
    }
}

impl DatagramSocket for Cut {
    fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        if self.away.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        self.socket.send_to(datagram, to)
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<SocketAddr>> {
        if self.away.load(Ordering::Relaxed) { Poll::Pending } else { self.socket.poll_recv_from(cx, buffer) }
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr()
    }

    fn host_addresses(&self) -> Vec<SocketAddr> {
        self.socket.host_addresses()
    }
}

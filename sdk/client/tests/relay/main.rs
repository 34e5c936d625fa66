//! Calls through a TURN server on loopback: from the verdict, after patience, and by the other side's wish.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "helpers of tests, which the lint does not know as such"
)]

mod moves;

use core::{
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};
use std::sync::Arc;

use switchhook_client::{
    Client, Events,
    call::{Call, Prepared, Side},
    fake::{FakeConnection, FakeHost},
    identity::DeviceKey,
    network::{Network, nat::SymmetricNat},
    relay::Allocation,
};
use switchhook_protocol::{
    call::{Done, Operation, PathKind},
    event::{Event, PeerRelayed, RelayGiven},
    id::RequestId,
    invitation::Accepted,
    peer::{Guessing, Path, Peer},
    relay::{RelayCredentials, RelayResponse},
};
use tokio::{net::UdpSocket, sync::mpsc, task::JoinSet};
use turn::{
    auth::{AuthHandler, generate_auth_key},
    relay::relay_static::RelayAddressGeneratorStatic,
    server::{
        Server,
        config::{ConnConfig, ServerConfig},
    },
};
use webrtc_util::vnet::net::Net;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// More than a test asks for; what is over is not kept.
const SAID: usize = 256;
const REALM: &str = "relay.example";

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), Box::pin(what)).await.expect("it happens in time")
}

struct Passwords;

impl AuthHandler for Passwords {
    fn auth_handle(&self, username: &str, realm: &str, _: SocketAddr) -> Result<Vec<u8>, turn::Error> {
        Ok(generate_auth_key(username, realm, "password"))
    }
}

/// A relay, and its address.
async fn relay() -> (Server, SocketAddr) {
    let socket = Arc::new(UdpSocket::bind((LOOPBACK, 0)).await.unwrap());
    let addr = socket.local_addr().unwrap();
    let relay_addr_generator = Box::new(RelayAddressGeneratorStatic {
        relay_address: LOOPBACK,
        address: LOOPBACK.to_string(),
        net: Arc::new(Net::new(None)),
    });
    let config = ServerConfig {
        conn_configs: vec![ConnConfig { conn: socket, relay_addr_generator }],
        realm: REALM.to_owned(),
        auth_handler: Arc::new(Passwords),
        channel_bind_timeout: Duration::ZERO,
        alloc_close_notify: None,
    };
    (Server::new(config).await.unwrap(), addr)
}

fn credentials(server: SocketAddr, password: &str) -> RelayCredentials {
    RelayCredentials {
        server,
        servers: Vec::new(),
        realm: REALM.to_owned(),
        username: "user".to_owned(),
        password: password.to_owned(),
        expires_in_ms: 60_000,
        family: None,
    }
}

struct Device {
    client: Client,
    events: Events,
    network: Arc<dyn Network>,
    prepared: Prepared,
}

/// Two devices behind symmetric NATs, at a host that passes relay events on.
async fn devices(host: &FakeHost, relay: SocketAddr) -> ([Device; 2], JoinSet<()>) {
    let (to_one, for_one) = mpsc::channel(8);
    let (to_two, for_two) = mpsc::channel(8);
    let mut serving = JoinSet::new();
    let (one, connection) = device(host).await;
    let (said, _) = mpsc::channel(SAID);
    serving.spawn(serve(connection, relay, to_two, for_one, said.clone()));
    let (two, connection) = device(host).await;
    serving.spawn(serve(connection, relay, to_one, for_two, said));
    ([one, two], serving)
}

async fn device(host: &FakeHost) -> (Device, FakeConnection) {
    device_in(host, Arc::new(SymmetricNat::new(LOOPBACK))).await
}

async fn device_in(host: &FakeHost, network: Arc<dyn Network>) -> (Device, FakeConnection) {
    let key = DeviceKey::generate(&mut rand::rng());
    let identity = soon(Client::enrol(&host.settings(), key)).await.unwrap();
    let (client, events) = soon(Client::connect(host.settings(), identity)).await.unwrap();
    let connection = soon(host.connection_of(&client.identity().device)).await.unwrap();
    let prepared = soon(Prepared::new(&client, &*network)).await.unwrap();
    (Device { client, events, network, prepared }, connection)
}

async fn serve(
    mut connection: FakeConnection,
    relay: SocketAddr,
    to_other: mpsc::Sender<Event>,
    mut events: mpsc::Receiver<Event>,
    said: mpsc::Sender<Operation>,
) {
    let mut seq = 0;
    loop {
        tokio::select! {
            Some(event) = events.recv() => {
                seq += 1;
                connection.deliver(seq, event, None).await.unwrap();
            }
            request = connection.next_request() => {
                let Some((id, operation)) = request else { return };
                answer(&mut connection, &id, &operation, (relay, &to_other)).await;
                // Who does not listen does not want to know.
                _ = said.try_send(operation);
            }
        }
    }
}

async fn answer(
    connection: &mut FakeConnection,
    id: &RequestId,
    operation: &Operation,
    (relay, to_other): (SocketAddr, &mpsc::Sender<Event>),
) {
    let session = "s1".parse().unwrap();
    let relay = credentials(relay, "password");
    if let Operation::RelayRequest(_) = operation {
        connection.answer(id, &RelayResponse { relay: relay.clone() }).await.unwrap();
        to_other.send(Event::RelayResponse(RelayGiven { session, relay })).await.unwrap();
    } else {
        connection.answer(id, &Done {}).await.unwrap();
        if let Operation::RelayUpdate(update) = operation {
            let relayed = PeerRelayed {
                session,
                alias: "alias".into(),
                relayed: update.relayed,
                observed: Some(update.observed),
            };
            to_other.send(Event::RelayUpdate(relayed)).await.unwrap();
        }
    }
}

/// Starts the call on both sides, each with its verdict.
async fn start([inviter, callee]: [Device; 2], paths: [Path; 2]) -> ([Call; 2], [(Client, Events); 2]) {
    let accepted = |peer: &Device, path: Path| Accepted {
        session: "s1".parse().unwrap(),
        ticket: "ticket".into(),
        peer: Peer {
            alias: "alias".into(),
            endpoint: "+15550100".parse().unwrap(),
            device_key: peer.client.identity().key.public(),
            session_key: peer.prepared.session_key().clone(),
        },
        path,
        media_key: KEY.into(),
        retry: false,
        awaits_take: false,
    };
    let [to_inviter, to_callee] = paths;
    let (to_inviter, to_callee) = (accepted(&callee, to_inviter), accepted(&inviter, to_callee));
    let one = Call::start(&inviter.client, inviter.network, inviter.prepared, Side::Inviter, to_inviter);
    let two = Call::start(&callee.client, callee.network, callee.prepared, Side::Callee, to_callee);
    let (one, two) = soon(async { tokio::join!(one, two) }).await;
    ([one.unwrap(), two.unwrap()], [(inviter.client, inviter.events), (callee.client, callee.events)])
}

/// Sends until the other side has it: a datagram may be lost.
async fn carries(from: &Call, to: &mut Call, payload: &[u8]) {
    let send = async {
        let mut again = tokio::time::interval(Duration::from_millis(50));
        loop {
            again.tick().await;
            from.send(payload).unwrap();
        }
    };
    soon(async {
        tokio::select! {
            received = to.recv() => assert_eq!(received.as_deref(), Some(payload)),
            () = send => {}
        }
    })
    .await;
}

fn direct(patience_ms: u32) -> Path {
    let (candidates, guessing) = (Vec::new(), Guessing::default());
    Path::Direct { candidates, patience_ms: Some(patience_ms), exchange: None, guessing }
}

#[tokio::test]
async fn rel_2_a_call_that_the_verdict_sends_through_the_relay_carries_bytes_both_ways() {
    let (host, (server, addr)) = (FakeHost::start().await.unwrap(), relay().await);
    let (devices, _serving) = devices(&host, addr).await;
    let path = Path::Relay { relay: credentials(addr, "password"), until_accepted: false };
    let ([mut one, mut two], _clients) = start(devices, [path.clone(), path]).await;
    assert_eq!((one.path(), two.path()), (Some(PathKind::Relay), Some(PathKind::Relay)));
    carries(&one, &mut two, b"to the callee").await;
    carries(&two, &mut one, &[7; switchhook_client::call::MAX_DATAGRAM]).await;
    soon(one.close()).await;
    while soon(two.recv()).await.is_some() {}
    server.close().await.unwrap();
}

/// REL-3
#[tokio::test]
async fn rel_2_before_its_credentials_end_a_call_goes_on_with_others() {
    let (host, (server, addr)) = (FakeHost::start().await.unwrap(), relay().await);
    let (devices, _serving) = devices(&host, addr).await;
    // Later than the verdict's own wish for the relay.
    let brief = RelayCredentials { expires_in_ms: 8_000, ..credentials(addr, "password") };
    let path = Path::Relay { relay: brief, until_accepted: false };
    let ([one, mut two], _clients) = start(devices, [path.clone(), path]).await;
    carries(&one, &mut two, b"before").await;
    for call in [&one, &two] {
        let before = call.peer_addr().unwrap();
        let elsewhere = |(kind, peer): (_, SocketAddr)| kind == PathKind::Relay && peer != before;
        soon(call.path_becomes(|path| path.is_none_or(elsewhere))).await;
    }
    carries(&one, &mut two, b"before").await;
    server.close().await.unwrap();
}

#[tokio::test]
async fn nat_4_when_patience_is_over_either_side_asks_for_the_relay_and_the_other_follows() {
    let (host, (server, addr)) = (FakeHost::start().await.unwrap(), relay().await);
    // The callee asks first; the inviter asks first; both ask at once.
    for [inviter, callee] in [[20_000, 100], [100, 20_000], [100, 1_600]] {
        let (devices, _serving) = devices(&host, addr).await;
        let ([mut one, mut two], _clients) = start(devices, [direct(inviter), direct(callee)]).await;
        assert_eq!((one.path(), two.path()), (Some(PathKind::Relay), Some(PathKind::Relay)));
        carries(&one, &mut two, b"hello").await;
        carries(&two, &mut one, b"hello").await;
    }
    server.close().await.unwrap();
}

#[tokio::test]
async fn rel_3_without_the_right_password_there_is_no_allocation() {
    let (server, addr) = relay().await;
    let network = SymmetricNat::new(LOOPBACK);
    let refused = soon(Allocation::open(&network, &credentials(addr, "guessed"))).await;
    assert!(refused.is_err());
    let granted = soon(Allocation::open(&network, &credentials(addr, "password"))).await.unwrap();
    assert_ne!(granted.relayed(), granted.observed());
    server.close().await.unwrap();
}

//! Signaling for the lab: a [`FakeHost`] that does what the host does with connection data.
//!
//! It goes past the lab, over this machine's loopback. What the lab carries are datagrams: those of both devices,
//! and those of CDX.

use std::{
    collections::HashMap,
    fmt, io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use rand::{SeedableRng as _, rngs::StdRng};
use switchhook_cdx::{Cdx, CdxConfig, Ip};
use switchhook_client::{
    Client, Events,
    call::{Call, Prepared, Side},
    fake::{FakeConnection, FakeHost},
    identity::DeviceKey,
    network::{DatagramSocket, Network, SystemNetwork},
};
use switchhook_core::{
    exchange::between,
    network::NetworkFacts,
    seal::{KeyRing, RootKeys, Scope},
};
use switchhook_netlab::{Host, Lab, Site};
use switchhook_protocol::{
    call::{Done, Operation},
    connection_data::ConnectionData,
    error::ErrorCode,
    event::Event,
    exchange::{ConnectionDataTaken, Exchange, PeerElsewhere},
    id::{DeviceId, SessionId},
    invitation::Accepted,
    peer::{Path, Peer},
    server::CdxAddresses,
    time::Timestamp,
};
use tokio::{
    runtime::{Handle, Runtime},
    sync::{Mutex as Turn, mpsc},
    task::JoinSet,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const MEDIA_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// How long a path is looked for: some round trips of the lab, and repeats on a busy machine.
const PATIENCE_MS: u32 = 2_500;

/// Only a broken lab is waited for this long.
pub(crate) const GUARD: Duration = Duration::from_mins(1);

/// CDX on the lab's server, and a host beside the lab.
pub(crate) struct Switchboard {
    fake: FakeHost,
    keys: KeyRing,
    /// One device after the other comes in, so that each knows its connection.
    door: Turn<()>,
    calls: AtomicU32,
}

/// A machine of the lab, as a device's way out.
#[derive(Clone)]
pub(crate) enum Place {
    /// Behind gateways of its own.
    Site(Arc<Site>),
    /// In somebody else's LAN.
    Neighbour(Arc<Host>),
}

/// Both sides of a call, and what serves them.
pub(crate) struct Talk {
    pub(crate) calls: [Call; 2],
    _clients: [(Client, Events); 2],
    _serving: JoinSet<()>,
}

struct Device {
    client: Client,
    events: Events,
    connection: FakeConnection,
    network: Arc<dyn Network>,
    prepared: Prepared,
}

impl Switchboard {
    /// To be called in the runtime.
    pub(crate) async fn start(lab: &Lab) -> Result<Self> {
        let keys = RootKeys::new([1; 32], []).ring(Scope::Cdx);
        let config =
            CdxConfig { ip: Ip { bind: lab.server().ip().into(), public: None }, ..CdxConfig::default() };
        let (runtime, of_cdx) = (Handle::current(), keys.clone());
        let bound = move || {
            let mut rng = StdRng::seed_from_u64(1);
            runtime.block_on(Cdx::bind(&config, of_cdx, Arc::new(|| NOW), &mut rng))
        };
        let cdx = tokio::task::block_in_place(|| lab.server().enter(bound))??;
        let [primary, secondary] = cdx.addrs();
        cdx.run(&TaskTracker::new(), &CancellationToken::new());
        let fake = FakeHost::with_cdx(CdxAddresses { primary, secondary }).await?;
        Ok(Self { fake, keys, door: Turn::default(), calls: AtomicU32::new(0) })
    }

    /// One place calls the other, after a verdict that lets both try directly; there is no relay.
    pub(crate) async fn call(&self, places: [Place; 2]) -> Result<Talk> {
        // CDX counts what is told by session.
        let session: SessionId = format!("s{}", self.calls.fetch_add(1, Ordering::Relaxed)).parse()?;
        let [one, other] = places;
        let (one, other) = tokio::join!(self.device(one), self.device(other));
        let (one, other) = (one?, other?);
        let facts = [&one, &other].map(|device| self.facts(device.prepared.connection_data()));
        let [facts_one, facts_other] = &facts;
        let exchanges =
            self.exchanges(&session, [(&one, facts_one.as_ref()), (&other, facts_other.as_ref())]);
        let to_one = accepted(&session, &other, facts_other.as_ref(), exchanges.first().cloned());
        let to_other = accepted(&session, &one, facts_one.as_ref(), exchanges.last().cloned());
        let mut serving = JoinSet::new();
        let known = Arc::new(Known { session, keys: self.keys.clone(), facts: Mutex::new(HashMap::new()) });
        let devices = [&one, &other].map(|device| device.client.identity().device.clone());
        for (device, facts) in devices.iter().zip(facts) {
            known.set(device.clone(), facts.context("the observations of CDX")?);
        }
        let [(to_first, for_first), (to_second, for_second)] = [mpsc::channel(8), mpsc::channel(8)];
        let [first, second] = devices;
        let ends = [(first.clone(), second.clone()), (second, first)];
        let [first, second] = ends.map(|(own, peer)| Line { known: Arc::clone(&known), own, peer });
        serving.spawn(first.serve(one.connection, to_second, for_first));
        serving.spawn(second.serve(other.connection, to_first, for_second));
        let caller = Call::start(&one.client, one.network, one.prepared, Side::Inviter, to_one);
        let callee = Call::start(&other.client, other.network, other.prepared, Side::Callee, to_other);
        let (caller, callee) = timeout(GUARD, Box::pin(async { tokio::join!(caller, callee) })).await?;
        let clients = [(one.client, one.events), (other.client, other.events)];
        Ok(Talk { calls: [caller?, callee?], _clients: clients, _serving: serving })
    }

    async fn device(&self, place: Place) -> Result<Device> {
        let (client, events, connection) = {
            let _alone = self.door.lock().await;
            let key = DeviceKey::generate(&mut rand::rng());
            let identity = Client::enrol(&self.fake.settings(), key).await?;
            let (client, events) = Client::connect(self.fake.settings(), identity).await?;
            let connection =
                self.fake.connection_of(&client.identity().device).await.context("a connection")?;
            (client, events, connection)
        };
        let network: Arc<dyn Network> = Arc::new(place);
        let prepared = Prepared::new(&client, &*network).await?;
        Ok(Device { client, events, connection, network, prepared })
    }

    fn facts(&self, data: &ConnectionData) -> Option<NetworkFacts> {
        NetworkFacts::read(data, &self.keys, NOW).ok()
    }

    fn exchanges(&self, session: &SessionId, sides: [(&Device, Option<&NetworkFacts>); 2]) -> Vec<Exchange> {
        let [(one, Some(facts_one)), (other, Some(facts_other))] = sides else { return Vec::new() };
        let (a, b) = (&one.client.identity().device, &other.client.identity().device);
        let sides = [(a, facts_one), (b, facts_other)];
        let made = between((session, 1), sides, (&self.keys, NOW), &mut rand::rng());
        made.into_iter().flatten().collect()
    }
}

impl Talk {
    /// Sends from each side until the other has it: a datagram may be lost.
    pub(crate) async fn carries(&mut self) -> Result<()> {
        let [one, other] = &mut self.calls;
        carries(one, other).await?;
        carries(other, one).await
    }
}

async fn carries(from: &Call, to: &mut Call) -> Result<()> {
    const SAID: &[u8] = b"hello";
    let send = async {
        let mut again = tokio::time::interval(Duration::from_millis(50));
        while from.send(SAID).is_ok() {
            again.tick().await;
        }
    };
    tokio::select! {
        heard = timeout(GUARD, to.recv()) => heard?.map(drop).context("the call is over"),
        () = send => bail!("the call is over"),
    }
}

impl Place {
    fn host(&self) -> &Host {
        match self {
            Self::Site(site) => site.host(),
            Self::Neighbour(host) => host,
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", self.host().ip())
    }
}

impl Network for Place {
    fn bind(&self) -> io::Result<Arc<dyn DatagramSocket>> {
        let (runtime, ip) = (Handle::current(), self.host().ip().into());
        let bound = self.host().enter(move || {
            let _inside = runtime.enter();
            SystemNetwork::on(ip).bind()
        });
        bound.map_err(io::Error::other)?
    }
}

/// Who is where.
struct Known {
    session: SessionId,
    keys: KeyRing,
    facts: Mutex<HashMap<DeviceId, NetworkFacts>>,
}

impl Known {
    fn set(&self, device: DeviceId, facts: NetworkFacts) {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).insert(device, facts);
    }

    fn of(&self, device: &DeviceId) -> Option<NetworkFacts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).get(device).cloned()
    }
}

/// One side's connection.
struct Line {
    known: Arc<Known>,
    own: DeviceId,
    peer: DeviceId,
}

impl Line {
    async fn serve(
        self,
        mut connection: FakeConnection,
        to_other: mpsc::Sender<Event>,
        mut events: mpsc::Receiver<Event>,
    ) {
        let mut seq = 0;
        loop {
            let served = tokio::select! {
                Some(event) = events.recv() => {
                    seq += 1;
                    connection.deliver(seq, event, None).await
                }
                request = connection.next_request() => {
                    let Some((id, operation)) = request else { return };
                    if let Operation::RelayRequest(_) = operation {
                        connection.refuse(&id, ErrorCode::NoRelay).await
                    } else if let Operation::ConnectionDataChanged(change) = operation {
                        let (exchange, told) = self.moved(&change.connection_data);
                        // The other side may have ended its call.
                        _ = to_other.send(Event::ConnectionData(told)).await;
                        connection.answer(&id, &ConnectionDataTaken { exchange }).await
                    } else {
                        connection.answer(&id, &Done {}).await
                    }
                }
            };
            if served.is_err() {
                return;
            }
        }
    }

    /// For this side, and for the other one.
    fn moved(&self, data: &ConnectionData) -> (Option<Exchange>, PeerElsewhere) {
        let facts = NetworkFacts::read(data, &self.known.keys, NOW).ok();
        let candidates = facts.as_ref().map(NetworkFacts::candidates).unwrap_or_default();
        let exchanges = facts.zip(self.known.of(&self.peer)).and_then(|(own, peer)| {
            self.known.set(self.own.clone(), own.clone());
            let sides = [(&self.own, &own), (&self.peer, &peer)];
            between((&self.known.session, 1), sides, (&self.known.keys, NOW), &mut rand::rng())
        });
        let [own, peers] = exchanges.map_or([None, None], |both| both.map(Some));
        (
            own,
            PeerElsewhere {
                session: self.known.session.clone(),
                alias: "alias".into(),
                candidates,
                exchange: peers,
            },
        )
    }
}

fn accepted(
    session: &SessionId,
    peer: &Device,
    facts: Option<&NetworkFacts>,
    exchange: Option<Exchange>,
) -> Accepted {
    Accepted {
        session: session.clone(),
        ticket: "ticket".into(),
        peer: Peer {
            alias: "alias".into(),
            endpoint: "+15550100".parse().unwrap_or_else(|_| unreachable!("a number")),
            device_key: peer.client.identity().key.public(),
            session_key: peer.prepared.session_key().clone(),
        },
        path: Path::Direct {
            candidates: facts.map(NetworkFacts::candidates).unwrap_or_default(),
            patience_ms: Some(PATIENCE_MS),
            exchange,
        },
        media_key: MEDIA_KEY.into(),
        retry: false,
        awaits_take: false,
    }
}

/// What the lab's calls run on.
pub(crate) fn runtime() -> Result<Runtime> {
    Ok(Runtime::new()?)
}

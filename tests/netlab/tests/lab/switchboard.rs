//! Signaling for the lab: a [`FakeHost`] that does what the host does with connection data and the relay.
//!
//! It goes past the lab, over this machine's loopback. What the lab carries are datagrams: those of both devices,
//! those of CDX, and those of the relay.

mod device;
mod line;
mod place;
mod relay;
mod talk;
mod told;

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use rand::{SeedableRng as _, rngs::StdRng};
use switchhook_cdx::{Cdx, CdxConfig, Clock, Ip};
use switchhook_client::{
    call::Side,
    fake::{CdxKeys, FakeHost},
};
use switchhook_core::{
    connection_key::ConnectionKey,
    exchange::between,
    guessing,
    policy::nat::Guessing,
    seal::{KeyRing, RootKeys, Scope},
};
use switchhook_netlab::Lab;
use switchhook_protocol::{
    id::{DeviceId, SessionId},
    peer::Path,
    server::{CdxAddresses, CdxPorts},
    time::Timestamp,
};
use tokio::{
    runtime::{Handle, Runtime},
    sync::{Mutex as Turn, mpsc},
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    device::Device,
    line::{Known, Line},
    relay::LabRelay,
};
pub(crate) use self::{
    device::Visitor,
    place::Place,
    talk::Talk,
    told::{Beginning, Told},
};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// The relay's port, where it matters to nobody.
const PORT: u16 = 3_478;

/// How long a path is looked for: some round trips of the lab, and repeats on a busy machine.
const PATIENCE_MS: u32 = 2_500;

/// The same where ports are guessed at random.
const GUESSING_PATIENCE_MS: u32 = 6_000;

/// Only a broken lab is waited for this long.
pub(crate) const GUARD: Duration = Duration::from_mins(1);

/// CDX on the lab's server, and a host beside the lab.
pub(crate) struct Switchboard {
    fake: FakeHost,
    keys: KeyRing,
    relay: Option<Arc<LabRelay>>,
    /// One device after the other comes in, so that each knows its connection.
    door: Turn<()>,
    calls: AtomicU32,
}

/// What stands on the lab's server beside CDX at its first address.
#[derive(Default)]
struct Beside {
    relay: Option<Arc<LabRelay>>,
    /// Where CDX has an address of the other family.
    ipv6: Option<Ipv6Addr>,
    /// Where CDX has a second one of the same family.
    other_ip: Option<IpAddr>,
}

/// What the NAT policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Try directly, and guess so.
    Direct(Guessing),
    /// Through the relay, for good or until the callee shows where it is.
    Relay { until_accepted: bool },
}

impl Switchboard {
    /// Without a relay. To be called in the runtime.
    pub(crate) async fn start(lab: &Lab) -> Result<Self> {
        Self::beside(lab, Beside::default()).await
    }

    /// The same, with both addresses of the lab's server for CDX.
    pub(crate) async fn with_two_addresses(lab: &Lab) -> Result<Self> {
        let [_, second] = lab.server_ips();
        Self::beside(lab, Beside { other_ip: Some(second.into()), ..Beside::default() }).await
    }

    /// With a relay on the lab's server.
    pub(crate) async fn with_relay(lab: &Lab) -> Result<Self> {
        let relay = tokio::task::block_in_place(|| LabRelay::start(lab, None, PORT))?;
        Self::beside(lab, Beside { relay: Some(Arc::new(relay)), ..Beside::default() }).await
    }

    /// The relay's host starts again.
    pub(crate) fn restart_relay(&self, lab: &Lab) -> Result<()> {
        tokio::task::block_in_place(|| self.relay.as_ref().context("no relay")?.restart(lab))
    }

    /// The same, with the relay's TURN at this port, and whatever speaks it there.
    pub(crate) async fn with_relay_at(lab: &Lab, port: u16) -> Result<Self> {
        let relay = tokio::task::block_in_place(|| LabRelay::start(lab, None, port))?;
        Self::beside(lab, Beside { relay: Some(Arc::new(relay)), ..Beside::default() }).await
    }

    /// The same, with a relay whose allocations stay where they were made.
    pub(crate) async fn with_immobile_relay(lab: &Lab) -> Result<Self> {
        let relay = tokio::task::block_in_place(|| LabRelay::start_immobile(lab, PORT))?;
        Self::beside(lab, Beside { relay: Some(Arc::new(relay)), ..Beside::default() }).await
    }

    /// The same, with CDX at addresses of both families, and a relay of IPv6 with IPv4 beside it or without.
    pub(crate) async fn relaying_from_ipv6(lab: &Lab, ipv4_beside: bool) -> Result<Self> {
        let ipv6 = lab.server().ipv6().context("the server has no IPv6")?;
        let relay = tokio::task::block_in_place(|| LabRelay::start_over_ipv6(lab, ipv6, ipv4_beside))?;
        Self::beside(lab, Beside { relay: Some(Arc::new(relay)), ipv6: Some(ipv6), other_ip: None }).await
    }

    /// The same, with CDX and the relay at addresses of both families.
    pub(crate) async fn of_both_families(lab: &Lab) -> Result<Self> {
        let ipv6 = lab.server().ipv6();
        let relay = tokio::task::block_in_place(|| LabRelay::start(lab, ipv6, PORT))?;
        Self::beside(lab, Beside { relay: Some(Arc::new(relay)), ipv6, other_ip: None }).await
    }

    async fn beside(lab: &Lab, Beside { relay, ipv6, other_ip }: Beside) -> Result<Self> {
        let keys = RootKeys::new([1; 32], []).ring(Scope::Cdx);
        let at = |ip: IpAddr| Ip { bind: ip, public: None };
        let config = CdxConfig {
            ip: at(lab.server().ip().into()),
            other_ip: other_ip.map(at),
            other_family: ipv6.map(|ip| at(ip.into())),
            ..CdxConfig::default()
        };
        let (runtime, of_cdx) = (Handle::current(), keys.clone());
        let bound = move || {
            let mut rng = StdRng::seed_from_u64(1);
            let _inside = runtime.enter();
            let clock: Clock = Arc::new(|| NOW);
            Cdx::bind(&config, &of_cdx, &clock, &mut rng)
        };
        let cdx = tokio::task::block_in_place(|| lab.server().enter(bound))??;
        let [primary, secondary] = cdx.addrs();
        let other_family = cdx.other_family().map(|[primary, secondary]| CdxPorts { primary, secondary });
        cdx.run(&TaskTracker::new(), &CancellationToken::new());
        let (tenant, sealed_by) = ("acme".parse()?, keys.clone());
        let give = move |device: &DeviceId| {
            ConnectionKey::give((&tenant, device), (&sealed_by, NOW), &mut rand::rng())
        };
        let cdx = CdxAddresses { primary, secondary, other_family };
        let fake = FakeHost::with_cdx(cdx, Some(CdxKeys::new(give))).await?;
        Ok(Self { fake, keys, relay, door: Turn::default(), calls: AtomicU32::new(0) })
    }

    /// One place calls the other, after a verdict that lets both try directly.
    pub(crate) async fn call(&self, places: [Place; 2]) -> Result<Talk> {
        Box::pin(self.call_after(Verdict::Direct(Guessing::default()), places)).await
    }

    /// One place calls the other, after this verdict.
    pub(crate) async fn call_after(&self, verdict: Verdict, places: [Place; 2]) -> Result<Talk> {
        Box::pin(self.accept(verdict, places).await?.begin()).await
    }

    /// One device that has come in calls the other, after a verdict that lets both try directly.
    pub(crate) async fn call_of(&self, visitors: [Visitor; 2]) -> Result<Talk> {
        let [one, other] = visitors;
        let (one, other) = tokio::join!(self.device(one), self.device(other));
        let told = self.tell(Verdict::Direct(Guessing::default()), one?, other?)?;
        Box::pin(told.begin()).await
    }

    /// One place has called, the other has accepted, and both have been told so; nothing has been sent to each other.
    pub(crate) async fn accept(&self, verdict: Verdict, places: [Place; 2]) -> Result<Told> {
        let [one, other] = places.map(async |place| self.device(self.visitor(place).await?).await);
        let (one, other) = tokio::join!(one, other);
        self.tell(verdict, one?, other?)
    }

    fn tell(&self, verdict: Verdict, one: Device, other: Device) -> Result<Told> {
        // CDX counts what is told by session.
        let session: SessionId = format!("s{}", self.calls.fetch_add(1, Ordering::Relaxed)).parse()?;
        let [to_one, to_other] = self.paths(verdict, &session, [&one, &other])?;
        let (to_one, to_other) = (other.accepted(&session, to_one), one.accepted(&session, to_other));
        let facts = [&one, &other].map(|device| (device.id().clone(), device.facts.clone()));
        let facts = Mutex::new(HashMap::from(facts));
        let known = Arc::new(Known { session, keys: self.keys.clone(), relay: self.relay.clone(), facts });
        let mut serving = JoinSet::new();
        let [(to_first, for_first), (to_second, for_second)] = [mpsc::channel(8), mpsc::channel(8)];
        let line = |own: &Device, peer: &Device| Line {
            known: Arc::clone(&known),
            own: own.id().clone(),
            peer: peer.id().clone(),
        };
        let (first, second) = (line(&one, &other), line(&other, &one));
        serving.spawn(first.serve(one.connection, to_second, for_first));
        serving.spawn(second.serve(other.connection, to_first, for_second));
        let clients = [(one.client.clone(), one.events), (other.client.clone(), other.events)];
        let beginning = [
            Beginning {
                client: one.client,
                network: one.network,
                prepared: one.prepared,
                side: Side::Inviter,
                accepted: to_one,
            },
            Beginning {
                client: other.client,
                network: other.network,
                prepared: other.prepared,
                side: Side::Callee,
                accepted: to_other,
            },
        ];
        Ok(Told { sides: beginning, clients, serving })
    }

    /// What each side is told.
    fn paths(&self, verdict: Verdict, session: &SessionId, sides: [&Device; 2]) -> Result<[Path; 2]> {
        let [one, other] = sides;
        let guessing = match verdict {
            Verdict::Direct(guessing) => guessing,
            Verdict::Relay { until_accepted } => {
                let relay = self.relay.as_ref().context("no relay")?;
                let path = |device: &Device| -> Result<Path> {
                    let relay = relay.credentials(session, device.id())?;
                    Ok(Path::Relay { relay, until_accepted })
                };
                return Ok([path(one)?, path(other)?]);
            }
        };
        let known = sides.map(|device| (device.id(), &device.facts));
        let exchanges = between((session, 1), known, (&self.keys, NOW), &mut rand::rng());
        let [for_one, for_other] = exchanges.map_or([None, None], |both| both.map(Some));
        let [one_guesses, other_guesses] = guessing::parts(guessing, [&one.facts, &other.facts]);
        let at_random = one_guesses.birthday.is_some();
        let patience = if at_random { GUESSING_PATIENCE_MS } else { PATIENCE_MS };
        let path = |peer: &Device, exchange, guessing| Path::Direct {
            candidates: peer.facts.candidates(),
            patience_ms: Some(patience),
            exchange,
            guessing,
        };
        Ok([path(other, for_one, one_guesses), path(one, for_other, other_guesses)])
    }
}

/// What the lab's calls run on.
pub(crate) fn runtime() -> Result<Runtime> {
    Ok(Runtime::new()?)
}

//! A relay on the lab's server, for calls.

use std::{
    io::ErrorKind,
    net::{Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use switchhook_core::{
    relay_token::{RelayShare, RelayToken, TurnCredentials},
    seal::{KeyRing, RootKeys, Scope},
};
use switchhook_netlab::Lab;
use switchhook_protocol::{
    id::{DeviceId, SessionId},
    relay::{AddressFamily, RelayCredentials, RelayServer, Transport},
};
use switchhook_relay::{BindError, Ip, Relay, RelayConfig};
use tokio::runtime::Runtime;

use super::{NOW, PORT};

const HOST: &str = "relay-1";

/// Until a port counts as taken for good: a program that another test starts holds for a moment what was open here, and
/// a try starts a thread.
const TRIES: u32 = 5_000;

pub(super) struct LabRelay {
    /// Its threads stay where they were made, and open the sockets of allocations there.
    runtime: Option<Runtime>,
    relay: Mutex<Relay>,
    config: RelayConfig,
    server: SocketAddr,
    ways: Vec<RelayServer>,
    keys: KeyRing,
    /// What its clients are told to ask for.
    family: Option<AddressFamily>,
}

impl LabRelay {
    /// At the server's IPv4 address, and this one beside it. To be called where blocking is allowed.
    pub(super) fn start(lab: &Lab, ipv6: Option<Ipv6Addr>, port: u16) -> Result<Self> {
        let other_ip = ipv6.map(|ip| Ip { bind: ip.into(), public: None });
        let config = RelayConfig { ip: lab.server().ip().into(), other_ip, port, ..config()? };
        Self::configured(lab, config, None)
    }

    /// The same; allocations stay where they were made.
    pub(super) fn start_immobile(lab: &Lab, port: u16) -> Result<Self> {
        let config = RelayConfig { ip: lab.server().ip().into(), port, mobility: false, ..config()? };
        Self::configured(lab, config, None)
    }

    /// The same, at addresses of both families or at this one alone, and clients ask for addresses of IPv6.
    pub(super) fn start_over_ipv6(lab: &Lab, ip: Ipv6Addr, ipv4_beside: bool) -> Result<Self> {
        let ipv4 = ipv4_beside.then(|| Ip { bind: lab.server().ip().into(), public: None });
        let config = RelayConfig { ip: ip.into(), other_ip: ipv4, port: PORT, ..config()? };
        Self::configured(lab, config, Some(AddressFamily::Ipv6))
    }

    fn configured(lab: &Lab, config: RelayConfig, family: Option<AddressFamily>) -> Result<Self> {
        let runtime = lab.server().enter(Runtime::new)??;
        let keys = RootKeys::new([1; 32], []).ring(Scope::Relay(&HOST.parse()?));
        let relay = lab.server().enter(|| runtime.block_on(bind(&config, &keys)))??;
        let addrs = [Some(relay.addr()), relay.other_addr()];
        let ways = [Transport::Udp, Transport::Tcp].into_iter().flat_map(|transport| {
            let way = move |addr| RelayServer { transport, addr, name: None };
            addrs.into_iter().flatten().map(way)
        });
        let (server, ways) = (relay.addr(), ways.collect());
        Ok(Self { ways, relay: Mutex::new(relay), config, server, runtime: Some(runtime), keys, family })
    }

    /// Ends it, and starts it again where it was: it knows of no allocation. To be called where blocking is allowed.
    pub(super) fn restart(&self, lab: &Lab) -> Result<()> {
        let runtime = self.runtime.as_ref().context("it runs")?;
        let relay = || self.relay.lock().unwrap_or_else(PoisonError::into_inner);
        runtime.block_on(relay().shutdown());
        for _ in 0..TRIES {
            match lab.server().enter(|| runtime.block_on(bind(&self.config, &self.keys)))? {
                Ok(again) => {
                    *relay() = again;
                    return Ok(());
                }
                Err(BindError::Socket { source, .. }) if source.kind() == ErrorKind::AddrInUse => {}
                Err(trouble) => return Err(trouble.into()),
            }
        }
        bail!("its port does not become free")
    }

    /// For this device, in this session.
    pub(super) fn credentials(&self, session: &SessionId, device: &DeviceId) -> Result<RelayCredentials> {
        let token = RelayToken {
            tenant: "acme".parse()?,
            session: session.clone(),
            device: device.clone(),
            host: HOST.parse()?,
            expires_at: NOW.after(Duration::from_hours(1)),
            share: RelayShare::default(),
        };
        let TurnCredentials { username, password } = token.mint(&self.keys, &mut rand::rng());
        let realm = "switchhook".to_owned();
        Ok(RelayCredentials {
            server: self.server,
            servers: self.ways.clone(),
            realm,
            username,
            password,
            expires_in_ms: 3_600_000,
            family: self.family,
        })
    }
}

fn config() -> Result<RelayConfig> {
    Ok(RelayConfig::new(HOST.parse()?))
}

async fn bind(config: &RelayConfig, keys: &KeyRing) -> Result<Relay, BindError> {
    Relay::bind(config.clone(), keys.clone(), Arc::new(|| NOW)).await
}

impl Drop for LabRelay {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It may be dropped where blocking is not allowed, and nobody waits for it.
            runtime.shutdown_background();
        }
    }
}

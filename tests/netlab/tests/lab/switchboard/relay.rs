//! A relay on the lab's server, for calls.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Result;
use switchhook_core::{
    relay_token::{RelayToken, TurnCredentials},
    seal::{KeyRing, RootKeys, Scope},
};
use switchhook_netlab::Lab;
use switchhook_protocol::{
    id::{DeviceId, SessionId},
    relay::RelayCredentials,
};
use switchhook_relay::{Relay, RelayConfig};
use tokio::runtime::Runtime;

use super::NOW;

const HOST: &str = "relay-1";

pub(super) struct LabRelay {
    /// Its threads stay where they were made, and open the sockets of allocations there.
    runtime: Option<Runtime>,
    _relay: Relay,
    addr: SocketAddr,
    keys: KeyRing,
}

impl LabRelay {
    /// To be called where blocking is allowed.
    pub(super) fn start(lab: &Lab) -> Result<Self> {
        let runtime = lab.server().enter(Runtime::new)??;
        let keys = RootKeys::new([1; 32], []).ring(Scope::Relay(&HOST.parse()?));
        let config =
            RelayConfig { ip: lab.server().ip().into(), port: 3478, ..RelayConfig::new(HOST.parse()?) };
        let bound = || runtime.block_on(Relay::bind(config, keys.clone(), Arc::new(|| NOW)));
        let relay = lab.server().enter(bound)??;
        Ok(Self { addr: relay.addr(), _relay: relay, runtime: Some(runtime), keys })
    }

    /// For this device, in this session.
    pub(super) fn credentials(&self, session: &SessionId, device: &DeviceId) -> Result<RelayCredentials> {
        let token = RelayToken {
            tenant: "acme".parse()?,
            session: session.clone(),
            device: device.clone(),
            host: HOST.parse()?,
            expires_at: NOW.after(Duration::from_hours(1)),
        };
        let TurnCredentials { username, password } = token.mint(&self.keys, &mut rand::rng());
        let realm = "switchhook".to_owned();
        Ok(RelayCredentials {
            server: self.addr,
            servers: Vec::new(),
            realm,
            username,
            password,
            expires_in_ms: 3_600_000,
        })
    }
}

impl Drop for LabRelay {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // It may be dropped where blocking is not allowed, and nobody waits for it.
            runtime.shutdown_background();
        }
    }
}

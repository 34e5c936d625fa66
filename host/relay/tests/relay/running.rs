//! A relay host for a test, with a clock that the test moves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use switchhook_core::{
    relay_token::{RelayShare, RelayToken, TurnCredentials},
    seal::{KeyRing, RootKeys, Scope},
};
use switchhook_protocol::time::{Timestamp, millis};
use switchhook_relay::{Metrics, Relay, RelayConfig};
use tokio::time::timeout;

pub(crate) const HOST: &str = "relay-1";
pub(crate) const REALM: &str = "switchhook";
/// Only a broken relay is waited for this long.
pub(crate) const GUARD: Duration = Duration::from_mins(1);

const NOW: u64 = 1_700_000_000_000;

pub(crate) struct Running {
    pub(crate) relay: Relay,
    pub(crate) keys: KeyRing,
    clock: Arc<AtomicU64>,
}

impl Running {
    pub(crate) async fn start() -> Self {
        Self::start_with(RootKeys::new([1; 32], []), |_| ()).await
    }

    /// A relay that sends to peers on loopback.
    pub(crate) async fn start_with_loopback() -> Self {
        Self::start_with(RootKeys::new([1; 32], []), |config| config.peers.allow_loopback = true).await
    }

    pub(crate) async fn start_with(roots: RootKeys, change: impl FnOnce(&mut RelayConfig)) -> Self {
        let keys = keys_of(&roots, HOST);
        let clock = Arc::new(AtomicU64::new(NOW));
        let mut config = RelayConfig { port: 0, ..RelayConfig::new(HOST.parse().unwrap()) };
        change(&mut config);
        let time = Arc::clone(&clock);
        let now = Arc::new(move || Timestamp::from_millis(time.load(Ordering::SeqCst)));
        let relay = Relay::bind(config, keys.clone(), now).await.unwrap();
        Self { relay, keys, clock }
    }

    pub(crate) fn pass(&self, duration: Duration) {
        self.clock.fetch_add(millis(duration), Ordering::SeqCst);
    }

    /// Credentials for an hour.
    pub(crate) fn credentials(&self, session: &str, device: &str) -> TurnCredentials {
        token(session, device, Duration::from_hours(1)).mint(&self.keys, &mut rand::rng())
    }

    /// The same, of another tenant.
    pub(crate) fn credentials_of(&self, tenant: &str, session: &str) -> TurnCredentials {
        let token = token(session, "d1", Duration::from_hours(1));
        RelayToken { tenant: tenant.parse().unwrap(), ..token }.mint(&self.keys, &mut rand::rng())
    }

    /// Ends it, and looks at what it has counted: a shard tells that after what it counts has left, and before it ends.
    pub(crate) async fn counted(&self) -> &Metrics {
        timeout(GUARD, self.relay.shutdown()).await.expect("the relay stops");
        self.relay.metrics()
    }

    pub(crate) async fn stop(self) {
        self.counted().await;
    }
}

pub(crate) fn keys_of(roots: &RootKeys, host: &str) -> KeyRing {
    roots.ring(Scope::Relay(&host.parse().unwrap()))
}

pub(crate) fn token(session: &str, device: &str, life: Duration) -> RelayToken {
    RelayToken {
        tenant: "acme".parse().unwrap(),
        session: session.parse().unwrap(),
        device: device.parse().unwrap(),
        host: HOST.parse().unwrap(),
        expires_at: Timestamp::from_millis(NOW).after(life),
        share: RelayShare::default(),
    }
}

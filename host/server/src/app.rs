//! What a flow may use: the wired handles of one running server.

use std::{sync::Arc, time::Duration};

use rand::{SeedableRng as _, rngs::StdRng};
use switchhook_core::relay_choice::RelayHost;
use switchhook_delivery::{Outbound, SmsSender};
use switchhook_protocol::{id::TenantId, server::CdxAddresses, time::Timestamp};
use switchhook_storage::{Committed, Storage};
use tokio::sync::{Notify, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    bounds::Bounds,
    decisions::Decisions,
    granted::Granted,
    keys::Keys,
    metrics::Metrics,
    nodes::Me,
    online::Online,
    outbox::Hints,
    plugins::{Plugins, uploads::Uploads},
    rates::Rates,
};

/// One running server's handles.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) clock: fn() -> Timestamp,
    pub(crate) storage: Storage,
    pub(crate) keys: Keys,
    pub(crate) plugins: Plugins,
    /// What they may do beyond answering.
    pub(crate) granted: Granted,
    /// How much tenants' devices may do.
    pub(crate) bounds: Bounds,
    pub(crate) decisions: Decisions,
    pub(crate) online: Arc<Online>,
    pub(crate) texts: SmsSender,
    /// Texts by tenant and number.
    pub(crate) text_rates: Rates,
    /// Asks tenants' services on behalf of plugins.
    pub(crate) outbound: Outbound,
    /// Requests of plugins, by tenant.
    pub(crate) fetch_rates: Rates,
    /// Signed requests by device, and by tenant.
    pub(crate) requests_of_device: Rates,
    pub(crate) requests_of_tenant: Rates,
    pub(crate) metrics: Metrics,
    pub(crate) cdx: CdxAddresses,
    pub(crate) relay: RelayHost,
    pub(crate) relay_realm: String,
    /// Hints to the outbox workers.
    pub(crate) outbox: Hints,
    /// After this a participant whose device has vanished is taken out.
    pub(crate) lost_after: Duration,
    /// A hint to the timer worker.
    pub(crate) timers: Notify,
    /// Places for uploads of plugins.
    pub(crate) uploads: Uploads,
    /// Places for sockets that have not said who they are.
    pub(crate) unknown_sockets: Arc<Semaphore>,
    pub(crate) tasks: TaskTracker,
    /// The first signal: take nothing new.
    pub(crate) stop: CancellationToken,
    /// This node, to others.
    pub(crate) me: Me,
    /// What goes on until everything else has ended.
    pub(crate) living: TaskTracker,
    /// Everything else has ended.
    pub(crate) ended: CancellationToken,
}

impl App {
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// A random generator for one decision.
    #[expect(clippy::unused_self, reason = "flows get time and randomness from the app alone")]
    pub(crate) fn rng(&self) -> StdRng {
        StdRng::from_rng(&mut rand::rng())
    }

    /// Hints at what was committed to mailboxes here. The rows are the truth.
    pub(crate) fn wake(&self, tenant: &TenantId, committed: &Committed) {
        self.online.wake(tenant, &committed.devices_woken);
    }

    /// The relay hosts that live: here the built-in one.
    pub(crate) fn relay_hosts(&self) -> [RelayHost; 1] {
        [RelayHost { last_seen: self.now(), ..self.relay.clone() }]
    }

    pub(crate) fn relay_realm(&self) -> &str {
        &self.relay_realm
    }
}

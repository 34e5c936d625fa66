//! What a flow may use: the wired handles of one running server.

use std::{sync::Arc, time::Duration};

use rand::{SeedableRng as _, rngs::StdRng};
use switchhook_delivery::{GatewayPeers, MailSender, Outbound, SmsSender};
use switchhook_protocol::{id::TenantId, server::CdxAddresses, time::Timestamp};
use switchhook_storage::{Committed, Storage};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    bounds::Bounds,
    decisions::Decisions,
    flows::registration::{mailing::MailRates, sign_in::Guesses, texting::TextRates},
    granted::Granted,
    keys::Keys,
    listen::doors::Doors,
    metrics::Metrics,
    nodes::Me,
    online::Online,
    outbox::Hints,
    passwords::Passwords,
    places::Shared,
    plugins::Plugins,
    rates::Rates,
    refused::RefusedInvites,
    relay_hosts::built_in::BuiltIn,
    settings::PublicUrl,
    smscs::Smscs,
};

/// One running server's handles.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) clock: fn() -> Timestamp,
    /// Where the world reaches this server, if it was told.
    pub(crate) web_url: Option<PublicUrl>,
    pub(crate) storage: Storage,
    pub(crate) keys: Keys,
    pub(crate) plugins: Plugins,
    /// What they may do beyond answering.
    pub(crate) granted: Granted,
    /// How much tenants' devices may do.
    pub(crate) bounds: Bounds,
    pub(crate) decisions: Decisions,
    pub(crate) refused: RefusedInvites,
    pub(crate) online: Arc<Online>,
    pub(crate) texts: SmsSender,
    pub(crate) mails: MailSender,
    /// Where gateways and mail servers may be.
    pub(crate) gateway_peers: GatewayPeers,
    /// Gateways to which this node keeps a connection.
    pub(crate) smscs: Smscs,
    /// Texts by tenant, device and number.
    pub(crate) text_rates: TextRates,
    /// Mails by tenant, device and address.
    pub(crate) mail_rates: MailRates,
    /// Passwords, hashed and compared.
    pub(crate) passwords: Passwords,
    /// Tries of passwords, by device and user.
    pub(crate) guesses: Guesses,
    /// Asks tenants' services on behalf of plugins.
    pub(crate) outbound: Outbound,
    /// Requests of plugins, by tenant.
    pub(crate) fetch_rates: Rates,
    /// Signed requests by device, and by tenant.
    pub(crate) requests_of_device: Rates,
    pub(crate) requests_of_tenant: Rates,
    pub(crate) metrics: Metrics,
    pub(crate) cdx: CdxAddresses,
    /// The relay host inside this node.
    pub(crate) relay: BuiltIn,
    pub(crate) relay_realm: String,
    /// Where this node stands.
    pub(crate) region: String,
    /// Hints to the outbox workers.
    pub(crate) outbox: Hints,
    /// After this a participant whose device has vanished is taken out.
    pub(crate) lost_after: Duration,
    /// A hint to the timer worker.
    pub(crate) timers: Notify,
    /// A hint that somebody has left a session.
    pub(crate) left: Notify,
    /// Places for uploads of plugins.
    pub(crate) uploads: Shared,
    /// Places for invites on their way from request to commit.
    pub(crate) invites: Shared,
    /// Who may connect.
    pub(crate) doors: Doors,
    /// Whether handshakes ask clients for certificates.
    pub(crate) asks_for_certificates: bool,
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

    /// Tells connections what was committed to their mailboxes. The rows are the truth.
    pub(crate) fn wake(&self, tenant: &TenantId, committed: Committed) {
        self.online.wake(tenant, committed.stored);
    }

    pub(crate) fn relay_realm(&self) -> &str {
        &self.relay_realm
    }
}

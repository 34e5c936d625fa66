//! What the server counts. No tenant labels: detail is asked for by the API.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use switchhook_core::{policy::nat::Verdict, row::OutboxState, transit::conversion::calling_code};
use switchhook_protocol::{call::PathKind, endpoint::EndpointId, error::ErrorCode};

/// A number that only grows.
pub(crate) type Count = Counter<u64, AtomicU64>;

/// The server's own metrics.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// Devices with a socket here.
    pub(crate) connected: Gauge,
    pub(crate) enrolled: Count,
    pub(crate) texts_received: Count,
    pub(crate) validated: Count,
    pub(crate) links_opened: Count,
    pub(crate) invited: Count,
    pub(crate) accepted: Count,
    pub(crate) ended: Count,
    pub(crate) lost: Count,
    pub(crate) cancelled: Count,
    pub(crate) stop_confirmed: Count,
    pub(crate) delivered: Count,
    pub(crate) signalled: Count,
    pub(crate) relay_requested: Count,
    pub(crate) connection_data: Count,
    pub(crate) text_parts: Count,
    pub(crate) opted_out: Count,
    /// Those of users that do not exist are compared too.
    pub(crate) passwords: Count,
    pub(crate) foreign_letters: Count,
    texts: Family<Label, Count>,
    mails: Family<Label, Count>,
    verdicts: Family<Label, Count>,
    paths: Family<Label, Count>,
    refused: Family<Label, Count>,
    handshakes: Family<Label, Count>,
    decisions: Family<Decided, Count>,
    conversions: Family<OfCountry, Count>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decided {
    slot: &'static str,
    outcome: &'static str,
}

/// Numbers of a calling code: a few hundred.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfCountry {
    calling_code: String,
    outcome: &'static str,
}

/// What became of a TLS handshake.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Handshake {
    Done,
    Failed,
    /// Not done in time.
    Late,
    /// Too many others were unfinished.
    Refused,
}

impl Metrics {
    /// Those that the registry shows.
    pub(crate) fn registered(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        metrics.register(registry);
        metrics
    }

    fn register(&self, registry: &mut Registry) {
        let mut count =
            |name: &str, help: &str, metric: &Count| registry.register(name, help, metric.clone());
        count("enrolled", "Devices enrolled", &self.enrolled);
        count(
            "texts_received",
            "Texts from transits that began or continued a registration",
            &self.texts_received,
        );
        count("register_validated", "Signatures validated", &self.validated);
        count("register_link", "Links of mails that were confirmed", &self.links_opened);
        count("invite", "Invites committed", &self.invited);
        count("accept", "Accepts committed, retries included", &self.accepted);
        count("end", "Participants that left a session", &self.ended);
        count("lost_participant", "Participants taken out whom no node had seen", &self.lost);
        count("cancel", "Cancels by inviters", &self.cancelled);
        count("stop_confirmed", "Ringers that have really stopped", &self.stop_confirmed);
        count("delivered", "Mailbox messages written to sockets", &self.delivered);
        count("signal", "Live messages passed on", &self.signalled);
        count(
            "text_parts",
            "Short messages that texts were made of: what gateways charge for",
            &self.text_parts,
        );
        count("texts_opted_out", "Texts that were not sent, as their numbers want none", &self.opted_out);
        count("passwords_compared", "Passwords compared, also for users that do not exist", &self.passwords);
        count("foreign_letters", "Messages on the bus that are not of these nodes", &self.foreign_letters);
        count(
            "connection_data",
            "Sides of sessions that were elsewhere on the network",
            &self.connection_data,
        );
        count("relay_request", "Relays asked for after a failed direct attempt", &self.relay_requested);
        registry.register("connected", "Devices with a socket here", self.connected.clone());
        let mut family = |name: &str, help: &str, metric: &Family<Label, Count>| {
            registry.register(name, help, metric.clone());
        };
        family("texts", "Texts handed to gateways, by what the gateway knows", &self.texts);
        family("mails", "Mails handed to mail servers, by what the server knows", &self.mails);
        family("verdict", "Verdicts about pairs of networks", &self.verdicts);
        family("path", "Paths that worked, as clients report", &self.paths);
        family("refused", "Requests refused, by error code", &self.refused);
        family("tls_handshakes", "TLS handshakes, by what became of them", &self.handshakes);
        let help = "Texts that gateways took, receipts and proofs that followed, by calling code: where few follow, somebody \
            may be paid for texts";
        registry.register("conversions", help, self.conversions.clone());
        registry.register("plugin_decisions", "Plugin calls, by slot and outcome", self.decisions.clone());
    }

    /// What a gateway made of a text.
    pub(crate) fn text(&self, state: OutboxState) {
        self.texts.get_or_create(&Label { outcome: outcome(state) }).inc();
    }

    /// What a mail server made of a mail.
    pub(crate) fn mail(&self, state: OutboxState) {
        self.mails.get_or_create(&Label { outcome: outcome(state) }).inc();
    }

    /// A text went to this number.
    pub(crate) fn texted(&self, to: &EndpointId) {
        self.conversion(to, "sent");
    }

    /// A gateway says that a text to this number has arrived.
    pub(crate) fn arrived(&self, at: &EndpointId) {
        self.conversion(at, "delivered");
    }

    /// The owner of this number has proven it by what was texted.
    pub(crate) fn proven(&self, by: &EndpointId) {
        self.conversion(by, "proven");
    }

    fn conversion(&self, number: &EndpointId, outcome: &'static str) {
        let Some(calling_code) = calling_code(number).map(str::to_owned) else { return };
        self.conversions.get_or_create(&OfCountry { calling_code, outcome }).inc();
    }

    pub(crate) fn verdict(&self, verdict: &Verdict) {
        let outcome = match verdict {
            Verdict::Direct => "direct",
            Verdict::Relay { until_accepted: false, .. } => "relay",
            Verdict::Relay { until_accepted: true, .. } => "relay-until-accepted",
            Verdict::DirectThenRelay { .. } => "direct-then-relay",
        };
        self.verdicts.get_or_create(&Label { outcome }).inc();
    }

    pub(crate) fn path(&self, path: PathKind) {
        let outcome = match path {
            PathKind::Direct => "direct",
            PathKind::Relay => "relay",
        };
        self.paths.get_or_create(&Label { outcome }).inc();
    }

    pub(crate) fn refused(&self, code: ErrorCode) {
        self.refused.get_or_create(&Label { outcome: code.word() }).inc();
    }

    pub(crate) fn handshake(&self, handshake: Handshake) {
        let outcome = match handshake {
            Handshake::Done => "done",
            Handshake::Failed => "failed",
            Handshake::Late => "late",
            Handshake::Refused => "refused",
        };
        self.handshakes.get_or_create(&Label { outcome }).inc();
    }

    pub(crate) fn decided(&self, slot: &'static str, outcome: &'static str) {
        self.decisions.get_or_create(&Decided { slot, outcome }).inc();
    }
}

/// The word for how far an effect is.
pub(crate) const fn outcome(state: OutboxState) -> &'static str {
    match state {
        OutboxState::Queued => "queued",
        OutboxState::Performing => "performing",
        OutboxState::Sent => "sent",
        OutboxState::Delivered => "delivered",
        OutboxState::Failed => "failed",
        OutboxState::InDoubt => "in-doubt",
    }
}

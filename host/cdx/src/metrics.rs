//! What CDX counts.

use prometheus_client::{
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use switchhook_core::cdx::{Answer, Dropped, exchange::NotHanded, own::NotAnswered};

/// Counters of all ports together, in datagrams and messages of streams.
///
/// Each outcome's counter is looked up once, here, and not on the path of a datagram.
#[derive(Debug, Clone)]
pub struct Metrics {
    family: Family<[(&'static str, &'static str); 1], Counter>,
    /// Answered as standard STUN.
    pub binding: Counter,
    /// Answered with a sealed observation.
    pub observation: Counter,
    /// Refused for an attribute that is not understood.
    pub unknown_attribute: Counter,
    /// Dropped: another protocol.
    pub not_stun: Counter,
    /// Dropped: broken STUN, a broken ticket's frame, or a broken question.
    pub malformed: Counter,
    /// Dropped: STUN, but no Binding request.
    pub not_a_request: Counter,
    /// Handed on to a participant of a session.
    pub handed_on: Counter,
    /// Dropped: a ticket that this host did not make, or that was changed.
    pub forged: Counter,
    /// Dropped: a ticket whose time is over.
    pub expired: Counter,
    /// Dropped: a ticket for another address of CDX.
    pub other_cdx: Counter,
    /// Dropped: a ticket from elsewhere than where its holder was seen.
    pub other_source: Counter,
    /// Dropped: its holder has told enough.
    pub repeated: Counter,
    /// Answered under the client's connection key.
    pub secret: Counter,
    /// Dropped: a handle that this host did not make or that was changed, or a question that is not under its key.
    pub question_forged: Counter,
    /// Dropped: a handle whose time is over.
    pub question_expired: Counter,
    /// Dropped: a question that was answered before, or its device has asked enough.
    pub question_repeated: Counter,
    /// Dropped: its source asks too much.
    pub limited: Counter,
    /// Answers that the socket or the stream did not take.
    pub unsent: Counter,
    /// Streams closed at once: too many are open, of all or of one subscriber, or it opens too many.
    pub streams_refused: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let family = Family::<_, Counter>::default();
        let outcome = |name| family.get_or_create(&[("outcome", name)]).clone();
        Self {
            binding: outcome("binding"),
            observation: outcome("observation"),
            unknown_attribute: outcome("unknown-attribute"),
            not_stun: outcome("not-stun"),
            malformed: outcome("malformed"),
            not_a_request: outcome("not-a-request"),
            handed_on: outcome("handed-on"),
            forged: outcome("forged-ticket"),
            expired: outcome("expired-ticket"),
            other_cdx: outcome("ticket-of-another-cdx"),
            other_source: outcome("ticket-from-elsewhere"),
            repeated: outcome("ticket-repeated"),
            secret: outcome("secret"),
            question_forged: outcome("forged-question"),
            question_expired: outcome("expired-question"),
            question_repeated: outcome("question-repeated"),
            limited: outcome("limited"),
            unsent: outcome("unsent"),
            streams_refused: Counter::default(),
            family,
        }
    }
}

impl Metrics {
    /// Shows the counters as `switchhook_cdx_datagrams_total{outcome="…"}`, and streams by themselves.
    pub fn register(&self, registry: &mut Registry) {
        let help = "Datagrams and messages of streams that CDX received, by what became of them";
        registry.register("switchhook_cdx_datagrams", help, self.family.clone());
        let help = "Streams to CDX closed at once, too many being open or opened, of all or of one address";
        registry.register("switchhook_cdx_streams_refused", help, self.streams_refused.clone());
    }

    pub(crate) fn answered(&self, answer: Answer) {
        match answer {
            Answer::Binding => &self.binding,
            Answer::Observation => &self.observation,
            Answer::UnknownAttribute => &self.unknown_attribute,
        }
        .inc();
    }

    pub(crate) fn dropped(&self, reason: Dropped) {
        match reason {
            Dropped::NotStun => &self.not_stun,
            Dropped::Malformed => &self.malformed,
            Dropped::NotARequest => &self.not_a_request,
        }
        .inc();
    }

    pub(crate) fn not_answered(&self, reason: NotAnswered) {
        match reason {
            NotAnswered::Malformed => &self.malformed,
            NotAnswered::Handle(_) | NotAnswered::Forged => &self.question_forged,
            NotAnswered::Expired => &self.question_expired,
        }
        .inc();
    }

    pub(crate) fn not_handed(&self, reason: NotHanded) {
        match reason {
            NotHanded::Malformed => &self.malformed,
            NotHanded::Forged(_) => &self.forged,
            NotHanded::Expired => &self.expired,
            NotHanded::OtherCdx => &self.other_cdx,
            NotHanded::OtherSource => &self.other_source,
        }
        .inc();
    }
}

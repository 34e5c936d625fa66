//! What each frame means: the order of a connection, requests and their answers, events and acks.
//!
//! A value without I/O: `handle_*` takes in, [`Machine::poll_effect`] gives out, time is an argument.
//! It outlives connections: [`Machine::handle_open`] begins one, [`Machine::handle_lost`] ends it.

use core::time::Duration;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Instant,
};

use serde_json::value::RawValue;
use switchhook_protocol::{
    client::{Ack, ClientMessage, Cursor, Hello, Said},
    device_key::Statement,
    event::Delivered,
    id::{RequestId, TenantId},
    number::DialsFrom,
    server::{Answer, Challenge, PeerSignal, ServerMessage, Welcome},
};

use super::mailbox::{Arrival, Mailbox};
use crate::{client::CallError, identity::Identity, limits};

/// What to do.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Write this text frame.
    Write(String),
    /// The mailbox is open.
    Welcomed(Welcome),
    /// This request is over.
    Answered(u64, Result<Box<RawValue>, CallError>),
    /// Hand this to the application, after all that came before.
    Deliver(Box<Delivered>),
    /// The application has seen what stands here; when it has handled what came before, so it has this.
    Pass(Cursor),
    /// Hand this live message to the application.
    Signal(PeerSignal),
    /// And this, in place of the one before.
    Presence(PeerSignal),
    /// The next connection is tried here first.
    GoTo(String),
    /// Give the connection up.
    End(End),
}

/// Why a connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// It speaks another protocol.
    Malformed,
    /// Nothing was heard for too long.
    Silent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    Opened,
    Greeted,
    Ready,
}

#[derive(Debug)]
pub(crate) struct Machine {
    tenant: TenantId,
    dials_from: Option<DialsFrom>,
    identity: Arc<Identity>,
    mailbox: Mailbox,
    phase: Phase,
    pending: BTreeMap<u64, Instant>,
    heard: Option<Instant>,
    silence: Duration,
    effects: VecDeque<Effect>,
}

impl Machine {
    pub(crate) fn new(
        (tenant, dials_from): (TenantId, Option<DialsFrom>),
        identity: Arc<Identity>,
        cursor: Option<Cursor>,
    ) -> Self {
        Self {
            tenant,
            dials_from,
            identity,
            mailbox: Mailbox::resume(cursor),
            phase: Phase::Closed,
            pending: BTreeMap::new(),
            heard: None,
            silence: limits::CONNECT,
            effects: VecDeque::new(),
        }
    }

    /// A connection is open; the host speaks first.
    pub(crate) fn handle_open(&mut self, now: Instant) {
        self.phase = Phase::Opened;
        self.silence = limits::CONNECT;
        self.heard = Some(now);
    }

    /// The connection is over: what had no answer will get none.
    pub(crate) fn handle_lost(&mut self) {
        self.phase = Phase::Closed;
        self.heard = None;
        self.effects.clear();
        for (id, _) in core::mem::take(&mut self.pending) {
            self.effects.push_back(Effect::Answered(id, Err(CallError::ConnectionLost)));
        }
    }

    /// Something came, be it only a ping.
    pub(crate) const fn handle_heard(&mut self, now: Instant) {
        self.heard = Some(now);
    }

    pub(crate) fn handle_text(&mut self, text: &str) {
        let message = match ServerMessage::decode(text) {
            Ok(Some(message)) => message,
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "a frame of the host is malformed");
                return self.effects.push_back(Effect::End(End::Malformed));
            }
        };
        match message {
            ServerMessage::Challenge(challenge) => self.greet(&challenge),
            ServerMessage::Welcome(welcome) => self.welcomed(welcome),
            ServerMessage::Answer(answer) => self.answered(answer),
            ServerMessage::Event(delivered) => self.arrived(delivered),
            ServerMessage::Leaving(leaving) => self.effects.push_back(Effect::GoTo(leaving.next)),
            ServerMessage::Signal(signal) => self.effects.push_back(Effect::Signal(signal)),
            ServerMessage::Presence(presence) => self.effects.push_back(Effect::Presence(presence)),
            // Before `welcome` a close code follows, and decides.
            ServerMessage::Error(error) => {
                tracing::warn!(error.code = %error.code, "the host refused a frame");
            }
            ServerMessage::Enrolled(_) | ServerMessage::Pong => {}
        }
    }

    /// Sends a request; to be called only while [`Self::is_ready`].
    pub(crate) fn handle_request(&mut self, id: u64, text: String, deadline: Instant) {
        self.pending.insert(id, deadline);
        self.effects.push_back(Effect::Write(text));
    }

    /// Sends a live message.
    pub(crate) fn handle_live(&mut self, live: &Said<'_>) {
        self.say(live);
    }

    /// The application is done with everything up to here.
    pub(crate) fn handle_done(&mut self, cursor: Cursor) {
        let ack = Ack::from(cursor.clone());
        if self.mailbox.handle(cursor) && self.phase == Phase::Ready {
            self.say(&Said::Ack(&ack));
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let over: Vec<u64> = self.pending.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id).collect();
        for id in over {
            self.pending.remove(&id);
            self.effects.push_back(Effect::Answered(id, Err(CallError::Deadline)));
        }
        if self.heard.is_some_and(|heard| heard + self.silence <= now) {
            self.heard = None;
            self.effects.push_back(Effect::End(End::Silent));
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let silent = self.heard.map(|heard| heard + self.silence);
        self.pending.values().copied().chain(silent).min()
    }

    pub(crate) fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Whether requests may be sent.
    pub(crate) fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    fn greet(&mut self, challenge: &Challenge) {
        if self.phase != Phase::Opened {
            return self.effects.push_back(Effect::End(End::Malformed));
        }
        self.phase = Phase::Greeted;
        let Identity { key, device, push_token, .. } = &*self.identity;
        let statement =
            Statement::Hello { nonce: &challenge.nonce, tenant: &self.tenant, device, push_token };
        let hello = Hello {
            device: device.clone(),
            push_token: push_token.clone(),
            proof: key.sign(&statement),
            cursor: self.mailbox.handled().cloned(),
            dials_from: self.dials_from.clone(),
        };
        self.say(&Said::Hello(&hello));
    }

    fn welcomed(&mut self, welcome: Welcome) {
        if self.phase != Phase::Greeted {
            return self.effects.push_back(Effect::End(End::Malformed));
        }
        self.phase = Phase::Ready;
        // Twice the ping's interval, and never so short that one late packet ends the connection.
        self.silence = Duration::from_millis(welcome.ping_ms.saturating_mul(2)).max(limits::WRITE);
        self.effects.push_back(Effect::Welcomed(welcome));
    }

    fn answered(&mut self, answer: Answer) {
        let Some(id) = number(&answer.id).filter(|id| self.pending.remove(id).is_some()) else {
            return;
        };
        let outcome = match (answer.ok, answer.error) {
            (_, Some(error)) => Err(CallError::Refused(error)),
            (Some(ok), None) => Ok(ok),
            (None, None) => Err(CallError::Malformed),
        };
        self.effects.push_back(Effect::Answered(id, outcome));
    }

    fn arrived(&mut self, delivered: Box<Delivered>) {
        match self.mailbox.arrive(&delivered) {
            Arrival::New => self.effects.push_back(Effect::Deliver(delivered)),
            Arrival::SeenElsewhere => {
                let Delivered { epoch, seq, .. } = *delivered;
                self.effects.push_back(Effect::Pass(Cursor { epoch, seq }));
            }
            Arrival::Repeat => self.repeat_ack(&delivered),
        }
    }

    /// The host has missed our ack, if there was one.
    fn repeat_ack(&mut self, delivered: &Delivered) {
        let handled = self.mailbox.handled();
        let behind = |done: &&Cursor| done.epoch == delivered.epoch && done.seq >= delivered.seq;
        if let Some(done) = handled.filter(behind).cloned() {
            self.say(&Said::Ack(&done.into()));
        }
    }

    fn say(&mut self, said: &Said<'_>) {
        match ClientMessage::say(said) {
            Ok(text) => self.effects.push_back(Effect::Write(text)),
            Err(error) => tracing::error!(%error, "a message has no JSON form"),
        }
    }
}

fn number(id: &RequestId) -> Option<u64> {
    id.as_str().parse().ok()
}

#[cfg(test)]
mod tests {
    use switchhook_protocol::{
        device_key::DeviceKey as PublicKey,
        error::ErrorCode,
        event::{CancelRing, Event},
        invitation::StopReason,
    };

    use super::*;
    use crate::identity::DeviceKey;

    const WELCOME: &str = r#"{"type":"welcome","resumed":"none","epoch":"e","ping_ms":20000,
        "cdx":{"primary":"127.0.0.1:1","secondary":"127.0.0.1:2"}}"#;

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn machine(cursor: Option<Cursor>) -> (Machine, PublicKey) {
        let key = DeviceKey::generate(&mut rand::rng());
        let public = key.public();
        let identity = Identity {
            key,
            device: "d".parse().unwrap(),
            push_token: "t".parse().unwrap(),
            registrations: Vec::new(),
            carriers: switchhook_protocol::carrier::CarrierBundle::default(),
        };
        (Machine::new(("acme".parse().unwrap(), None), Arc::new(identity), cursor), public)
    }

    fn ready() -> Machine {
        let (mut machine, _) = machine(None);
        machine.handle_open(now());
        machine.handle_text(r#"{"type":"challenge","nonce":"n"}"#);
        machine.handle_text(WELCOME);
        while machine.poll_effect().is_some() {}
        machine
    }

    fn written(machine: &mut Machine) -> ClientMessage {
        match machine.poll_effect() {
            Some(Effect::Write(text)) => ClientMessage::decode(&text).unwrap(),
            other => panic!("not a frame: {other:?}"),
        }
    }

    fn event(epoch: &str, seq: u64, message_id: &str) -> String {
        let event =
            Event::Cancel(CancelRing { session: "s".parse().unwrap(), reason: StopReason::Cancelled });
        let delivered = Delivered {
            seq,
            epoch: epoch.parse().unwrap(),
            message_id: message_id.parse().unwrap(),
            redelivered: false,
            expires_in_ms: None,
            event,
        };
        serde_json::to_string(&ServerMessage::Event(Box::new(delivered))).unwrap()
    }

    fn done(epoch: &str, seq: u64) -> Cursor {
        Cursor { epoch: epoch.parse().unwrap(), seq }
    }

    #[test]
    fn the_proof_is_over_the_hosts_challenge_and_hello_names_what_was_handled() {
        let (mut machine, public) = machine(Some(done("e", 3)));
        machine.handle_open(now());
        machine.handle_text(r#"{"type":"challenge","nonce":"n"}"#);
        let ClientMessage::Hello(hello) = written(&mut machine) else { panic!("hello comes first") };
        let tenant = "acme".parse().unwrap();
        let said = Statement::Hello {
            nonce: "n",
            tenant: &tenant,
            device: &hello.device,
            push_token: &hello.push_token,
        };
        assert_eq!(public.verify(&said, &hello.proof), Ok(()));
        assert_eq!(hello.cursor, Some(done("e", 3)));
        assert!(!machine.is_ready());
        machine.handle_text(WELCOME);
        assert!(matches!(machine.poll_effect(), Some(Effect::Welcomed(_))));
        assert!(machine.is_ready());
    }

    #[test]
    fn a_welcome_without_hello_ends_the_connection() {
        let (mut machine, _) = machine(None);
        machine.handle_open(now());
        machine.handle_text(WELCOME);
        assert!(matches!(machine.poll_effect(), Some(Effect::End(End::Malformed))));
    }

    #[test]
    fn an_answer_ends_its_request_once() {
        let mut machine = ready();
        machine.handle_request(7, "frame".into(), now() + limits::ANSWER);
        assert!(matches!(machine.poll_effect(), Some(Effect::Write(_))));
        machine.handle_text(r#"{"type":"answer","id":"8","ok":{}}"#);
        assert!(machine.poll_effect().is_none());
        machine.handle_text(r#"{"type":"answer","id":"7","error":{"code":"forbidden","message":"no"}}"#);
        let Some(Effect::Answered(7, Err(CallError::Refused(error)))) = machine.poll_effect() else {
            panic!("the request is refused")
        };
        assert_eq!(error.code, ErrorCode::Forbidden);
        machine.handle_text(r#"{"type":"answer","id":"7","ok":{}}"#);
        assert!(machine.poll_effect().is_none());
    }

    #[test]
    fn requests_without_answer_fail_with_the_connection_and_by_their_deadline() {
        let mut machine = ready();
        let start = now();
        machine.handle_request(1, "one".into(), start + Duration::from_secs(1));
        machine.handle_request(2, "two".into(), start + Duration::from_secs(9));
        while machine.poll_effect().is_some() {}
        machine.handle_timeout(start + Duration::from_secs(1));
        assert!(matches!(machine.poll_effect(), Some(Effect::Answered(1, Err(CallError::Deadline)))));
        machine.handle_lost();
        assert!(matches!(machine.poll_effect(), Some(Effect::Answered(2, Err(CallError::ConnectionLost)))));
        assert!(machine.poll_effect().is_none());
    }

    #[test]
    fn an_event_is_acknowledged_when_the_application_is_done_with_it() {
        let mut machine = ready();
        machine.handle_text(&event("e", 1, "m1"));
        assert!(matches!(machine.poll_effect(), Some(Effect::Deliver(_))));
        machine.handle_text(&event("e", 1, "m1"));
        assert!(machine.poll_effect().is_none(), "a repeat is neither seen nor acknowledged before");
        machine.handle_done(done("e", 1));
        assert_eq!(written(&mut machine), ClientMessage::Ack(done("e", 1).into()));
        machine.handle_text(&event("e", 1, "m1"));
        assert_eq!(written(&mut machine), ClientMessage::Ack(done("e", 1).into()));
        machine.handle_text(&event("later", 5, "m1"));
        assert!(matches!(machine.poll_effect(), Some(Effect::Pass(_))));
    }

    #[test]
    fn silence_for_two_pings_ends_the_connection() {
        let mut machine = ready();
        let start = now();
        machine.handle_heard(start);
        let limit = start + Duration::from_secs(40);
        assert_eq!(machine.poll_timeout(), Some(limit));
        machine.handle_timeout(limit);
        assert!(matches!(machine.poll_effect(), Some(Effect::End(End::Silent))));
    }
}

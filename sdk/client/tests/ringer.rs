//! Rings: what makes them stop, and that `stopped` is said when the ringer is silent, never before.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "helpers of tests, which the lint does not know as such"
)]

use core::{future::Future, time::Duration};
use std::sync::Arc;

use switchhook_client::{
    Client, ClientEvent, Events,
    fake::{FakeConnection, FakeHost},
    identity::DeviceKey,
    ringer::{Ringer, Rings},
};
use switchhook_protocol::{
    call::{Done, Operation},
    connection_data::ConnectionData,
    error::ErrorCode,
    event::{CancelRing, Event, Rung},
    invitation::{Accept, Accepted, StopReason},
    peer::{Guessing, Path, Peer, SessionKey},
};
use tokio::sync::{Semaphore, mpsc};

/// Says what it does, and stops only when it may.
struct Bell {
    said: mpsc::Sender<&'static str>,
    may_stop: Arc<Semaphore>,
}

impl Ringer for Bell {
    async fn start(&self, _: &Rung) {
        self.said.send("start").await.unwrap();
    }

    async fn stop(&self, _: &Rung) {
        self.said.send("stopping").await.unwrap();
        self.may_stop.acquire().await.unwrap().forget();
        self.said.send("silent").await.unwrap();
    }
}

struct Lab {
    _host: FakeHost,
    client: Client,
    events: Events,
    connection: FakeConnection,
    rings: Rings<Bell>,
    said: mpsc::Receiver<&'static str>,
    may_stop: Arc<Semaphore>,
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it happens in time")
}

impl Lab {
    async fn start() -> Self {
        let host = FakeHost::start().await.unwrap();
        let key = DeviceKey::generate(&mut rand::rng());
        let identity = soon(Client::enrol(&host.settings(), key)).await.unwrap();
        let (client, events) = soon(Client::connect(host.settings(), identity)).await.unwrap();
        let connection = soon(host.next_connection()).await.unwrap();
        let (sender, said) = mpsc::channel(8);
        let may_stop = Arc::new(Semaphore::new(0));
        let rings = Rings::new(client.clone(), Bell { said: sender, may_stop: Arc::clone(&may_stop) });
        Self { _host: host, client, events, connection, rings, said, may_stop }
    }

    /// Delivers an event and hands it to the rings.
    async fn deliver(&mut self, seq: u64, event: Event, expires_in_ms: Option<u64>) {
        self.connection.deliver(seq, event, expires_in_ms).await.unwrap();
        loop {
            let event = soon(self.events.next()).await.unwrap();
            self.rings.handle(&event);
            if matches!(event, ClientEvent::Event(_)) {
                return;
            }
        }
    }

    async fn said(&mut self) -> &'static str {
        soon(self.said.recv()).await.unwrap()
    }

    /// Answers the next request with `done`; its word.
    async fn asked(&mut self) -> &'static str {
        let (id, operation) = soon(self.connection.next_request()).await.unwrap();
        self.connection.answer(&id, &Done {}).await.unwrap();
        Operation::op(&operation)
    }
}

fn rung() -> Rung {
    let key = DeviceKey::generate(&mut rand::rng()).public();
    let session_key = SessionKey { public: key.public.clone(), signature: key.public.clone() };
    let endpoint: switchhook_protocol::endpoint::EndpointId = "+15550100".parse().unwrap();
    Rung {
        session: "s1".parse().unwrap(),
        ticket: "ticket".into(),
        inviter: Peer { alias: "a".into(), endpoint: endpoint.clone(), device_key: key, session_key },
        invited: endpoint,
        inviter_connection_data: "sealed".into(),
        purpose: "audio".into(),
        display_name: "Alice".into(),
    }
}

fn cancel() -> Event {
    Event::Cancel(CancelRing { session: "s1".parse().unwrap(), reason: StopReason::AnsweredElsewhere })
}

fn accept() -> Accept {
    Accept {
        ticket: rung().ticket,
        inviter_connection_data: rung().inviter_connection_data,
        connection_data: ConnectionData::default(),
        session_key: rung().inviter.session_key,
        retry: false,
    }
}

/// The answer to an accept of which the inviter chooses.
fn offered(rung: &Rung) -> Accepted {
    Accepted {
        session: rung.session.clone(),
        ticket: "offered".into(),
        peer: rung.inviter.clone(),
        path: Path::Direct {
            candidates: vec![],
            patience_ms: None,
            exchange: None,
            guessing: Guessing::default(),
        },
        media_key: String::new(),
        retry: false,
        awaits_take: true,
    }
}

#[tokio::test]
async fn stopped_is_said_after_the_ringer_has_returned() {
    let mut lab = Lab::start().await;
    lab.deliver(1, Event::Invite(rung()), Some(60_000)).await;
    assert_eq!(lab.said().await, "start");
    assert_eq!(lab.asked().await, "ringing");

    lab.deliver(2, cancel(), None).await;
    assert_eq!(lab.said().await, "stopping");
    // The ringer is not done: what the host hears next is only this probe.
    let client = lab.client.clone();
    let probe = tokio::task::JoinSet::from_iter([async move { client.sync().await.is_ok() }]);
    assert_eq!(lab.asked().await, "sync");
    drop(probe);
    lab.may_stop.add_permits(1);
    assert_eq!(lab.said().await, "silent");
    assert_eq!(lab.asked().await, "stopped");
}

#[tokio::test]
async fn a_ring_stops_by_its_own_clock_and_confirms_when_the_host_asks() {
    let mut lab = Lab::start().await;
    lab.may_stop.add_permits(1);
    lab.deliver(1, Event::Invite(rung()), Some(50)).await;
    assert_eq!(lab.said().await, "start");
    assert_eq!(lab.said().await, "stopping");
    assert_eq!(lab.said().await, "silent");
    assert_eq!(lab.asked().await, "ringing");
    lab.deliver(2, cancel(), None).await;
    assert_eq!(lab.asked().await, "stopped");
}

#[tokio::test]
async fn a_decline_is_said_when_the_ringer_is_silent() {
    let mut lab = Lab::start().await;
    lab.deliver(1, Event::Invite(rung()), Some(60_000)).await;
    assert_eq!(lab.said().await, "start");
    assert_eq!(lab.asked().await, "ringing");
    lab.may_stop.add_permits(1);
    let rings = lab.rings.clone();
    let (declined, ()) = tokio::join!(async { soon(rings.decline(&rung(), "busy")).await }, async {
        assert_eq!(lab.said().await, "stopping");
        assert_eq!(lab.said().await, "silent");
        assert_eq!(lab.asked().await, "decline");
    });
    declined.unwrap();
}

#[tokio::test]
async fn inv_6_a_device_that_the_inviter_does_not_take_says_that_it_is_silent() {
    let mut lab = Lab::start().await;
    lab.deliver(1, Event::Invite(rung()), Some(60_000)).await;
    assert_eq!(lab.said().await, "start");
    assert_eq!(lab.asked().await, "ringing");
    lab.may_stop.add_permits(1);
    let (rings, rung) = (lab.rings.clone(), rung());
    let (offered, ()) = tokio::join!(async { soon(rings.accept(&rung, &accept())).await }, async {
        let (id, _) = soon(lab.connection.next_request()).await.unwrap();
        lab.connection.answer(&id, &offered(&rung)).await.unwrap();
    });
    assert!(offered.unwrap().awaits_take);
    assert_eq!(lab.said().await, "stopping");
    assert_eq!(lab.said.try_recv(), Ok("silent"), "before the accept returns");

    lab.deliver(2, cancel(), None).await;
    assert_eq!(lab.asked().await, "stopped");
}

#[tokio::test]
async fn inv_6_an_accept_that_came_too_late_stops_the_ringer_and_any_other_refusal_does_not() {
    let mut lab = Lab::start().await;
    lab.deliver(1, Event::Invite(rung()), Some(60_000)).await;
    assert_eq!(lab.said().await, "start");
    assert_eq!(lab.asked().await, "ringing");
    lab.may_stop.add_permits(1);
    let accept = accept();
    for (code, over) in [
        (ErrorCode::Overloaded, false),
        (ErrorCode::BadObservation, false),
        (ErrorCode::AnsweredElsewhere, true),
    ] {
        let (rings, rung) = (lab.rings.clone(), rung());
        let (answer, ()) = tokio::join!(async { soon(rings.accept(&rung, &accept)).await }, async {
            let (id, _) = soon(lab.connection.next_request()).await.unwrap();
            lab.connection.refuse(&id, code).await.unwrap();
        });
        assert!(answer.is_err());
        assert_eq!(lab.said.try_recv().is_ok(), over, "{code}");
    }
    assert_eq!(lab.said().await, "silent");
    assert_eq!(lab.asked().await, "stopped");
}

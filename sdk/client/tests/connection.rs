//! The client at a host that answers by script.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests, which the lint does not know as such"
)]

use core::{future::Future, time::Duration};

use switchhook_client::{
    CallError, Client, ClientEvent, ConnectError, Events, Settings,
    fake::{FakeConnection, FakeHost},
    identity::{DeviceKey, Identity},
};
use switchhook_protocol::{
    call::{Done, Operation, Snapshot},
    client::Cursor,
    close::CloseCode,
    error::ErrorCode,
    event::{CancelRing, Event},
    invitation::{Cancel, StopReason},
    server::{Leaving, ServerMessage},
};

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it happens in time")
}

async fn enrolled(host: &FakeHost) -> Identity {
    let key = DeviceKey::generate(&mut rand::rng());
    soon(Client::enrol(&host.settings(), key)).await.unwrap()
}

async fn connected(
    settings: Settings,
    identity: Identity,
    host: &FakeHost,
) -> (Client, Events, FakeConnection) {
    let (client, mut events) = soon(Client::connect(settings, identity)).await.unwrap();
    let connection = soon(host.next_connection()).await.unwrap();
    assert!(matches!(soon(events.next()).await, Some(ClientEvent::Connected(_))));
    (client, events, connection)
}

async fn start() -> (FakeHost, Identity, Client, Events, FakeConnection) {
    let host = FakeHost::start().await.unwrap();
    let identity = enrolled(&host).await;
    let (client, events, connection) = connected(host.settings(), identity.clone(), &host).await;
    (host, identity, client, events, connection)
}

fn cancel(session: &str) -> Event {
    Event::Cancel(CancelRing { session: session.parse().unwrap(), reason: StopReason::Cancelled })
}

async fn next_session(events: &mut Events) -> String {
    loop {
        match soon(events.next()).await.expect("the client is open") {
            ClientEvent::Event(delivered) => {
                let Event::Cancel(cancel) = delivered.event else { panic!("only cancels are delivered") };
                return cancel.session.to_string();
            }
            ClientEvent::Connected(_) | ClientEvent::Disconnected { .. } => {}
            ClientEvent::Signal(_) | ClientEvent::Ended(_) | _ => panic!("only events are expected"),
        }
    }
}

#[tokio::test]
async fn an_enrolled_device_connects_and_its_requests_are_answered_by_their_ids() {
    let (_host, identity, client, _events, mut connection) = start().await;
    assert_eq!(connection.hello.device, identity.device);

    let other = client.clone();
    let request = Cancel { ticket: "t".to_owned() };
    let (sync, refused, ()) = tokio::join!(client.sync(), other.cancel(&request), async {
        let (first, _) = soon(connection.next_request()).await.unwrap();
        let (second, operation) = soon(connection.next_request()).await.unwrap();
        assert_eq!(operation, Operation::Cancel(Box::new(request.clone())));
        // Answered in the other order.
        connection.refuse(&second, ErrorCode::BadTicket).await.unwrap();
        let snapshot = Snapshot {
            epoch: "e".parse().unwrap(),
            seq: 3,
            registrations: Vec::new(),
            rings: Vec::new(),
            sessions: Vec::new(),
        };
        connection.answer(&first, &snapshot).await.unwrap();
    });
    assert_eq!(sync.unwrap().seq, 3);
    let Err(CallError::Refused(error)) = refused else { panic!("it is refused") };
    assert_eq!(error.code, ErrorCode::BadTicket);
}

#[tokio::test]
async fn a_wrong_proof_ends_the_client_for_good() {
    let host = FakeHost::start().await.unwrap();
    let mut identity = enrolled(&host).await;
    identity.key = DeviceKey::generate(&mut rand::rng());
    let Err(ConnectError::Finished(finished)) = soon(Client::connect(host.settings(), identity)).await else {
        panic!("the host does not take it")
    };
    assert_eq!(finished.code, CloseCode::Unauthorized.row().code);
}

#[tokio::test]
async fn a_lost_connection_fails_what_was_asked_and_comes_back_without_asking_again() {
    let (host, _, client, _events, mut connection) = start().await;
    let cancel = Cancel { ticket: "t".to_owned() };
    let (lost, ()) = tokio::join!(client.cancel(&cancel), async {
        soon(connection.next_request()).await.unwrap();
        drop(connection);
    });
    assert_eq!(lost, Err(CallError::ConnectionLost));

    let mut again = soon(host.next_connection()).await.unwrap();
    let (answered, ()) = tokio::join!(client.sync(), async {
        let (id, operation) = soon(again.next_request()).await.unwrap();
        assert_eq!(operation.op(), "sync", "the cancel is not sent again");
        let snapshot = Snapshot {
            epoch: "e".parse().unwrap(),
            seq: 0,
            registrations: Vec::new(),
            rings: Vec::new(),
            sessions: Vec::new(),
        };
        again.answer(&id, &snapshot).await.unwrap();
    });
    answered.unwrap();
}

#[tokio::test]
async fn a_request_without_a_connection_waits_for_one() {
    let (host, _, client, mut events, connection) = start().await;
    drop(connection);
    assert!(matches!(soon(events.next()).await, Some(ClientEvent::Disconnected { .. })));
    let cancel = Cancel { ticket: "t".to_owned() };
    let (answer, ()) = tokio::join!(client.cancel(&cancel), async {
        let mut again = soon(host.next_connection()).await.unwrap();
        let (id, _) = soon(again.next_request()).await.unwrap();
        again.answer(&id, &Done {}).await.unwrap();
    });
    assert_eq!(answer, Ok(Done {}));
}

#[tokio::test]
async fn push_3_after_a_reconnect_the_application_sees_each_event_once() {
    let (host, _, _client, mut events, mut connection) = start().await;
    connection.deliver(1, cancel("one"), None).await.unwrap();
    connection.deliver(2, cancel("two"), None).await.unwrap();
    assert_eq!(next_session(&mut events).await, "one");
    assert_eq!(next_session(&mut events).await, "two");
    assert_eq!(soon(connection.next_ack()).await, Some(1));
    drop(connection);

    let mut again = soon(host.next_connection()).await.unwrap();
    assert_eq!(again.hello.cursor.as_ref().map(|cursor| cursor.seq), Some(1), "two is not handled");
    again.deliver(2, cancel("two"), None).await.unwrap();
    again.deliver(3, cancel("three"), None).await.unwrap();
    assert_eq!(next_session(&mut events).await, "three");
    events.done();
    while soon(again.next_ack()).await != Some(3) {}
    assert_eq!(events.cursor().map(|cursor| cursor.seq), Some(3));
}

#[tokio::test]
async fn a_later_process_goes_on_after_the_stored_cursor() {
    let (host, identity, client, mut events, mut connection) = start().await;
    connection.deliver(1, cancel("one"), None).await.unwrap();
    assert_eq!(next_session(&mut events).await, "one");
    events.done();
    let stored: Option<Cursor> = events.cursor();
    soon(client.close()).await;
    assert_eq!(soon(events.next()).await, None);

    let settings = host.settings().cursor(stored.clone());
    let (_client, mut events, mut connection) = connected(settings, identity, &host).await;
    assert_eq!(connection.hello.cursor, stored);
    connection.deliver(1, cancel("one"), None).await.unwrap();
    connection.deliver(2, cancel("two"), None).await.unwrap();
    assert_eq!(next_session(&mut events).await, "two");
}

#[tokio::test]
async fn a_device_that_was_replaced_does_not_fight_for_its_place() {
    let (_host, _, client, mut events, connection) = start().await;
    soon(connection.close(CloseCode::Replaced)).await.unwrap();
    let Some(ClientEvent::Ended(finished)) = soon(events.next()).await else { panic!("it is final") };
    assert_eq!(finished.code, CloseCode::Replaced.row().code);
    assert_eq!(soon(events.next()).await, None);
    assert_eq!(soon(client.sync()).await, Err(CallError::Closed));
}

#[tokio::test]
async fn where_a_leaving_host_sends_a_client_is_tried_once_and_then_the_first_address_again() {
    let (host, _, _client, mut events, mut connection) = start().await;
    let elsewhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let next = format!("ws://{}", elsewhere.local_addr().unwrap());
    connection.say(&ServerMessage::Leaving(Leaving { next })).await.unwrap();
    soon(connection.close(CloseCode::GoingAway)).await.unwrap();

    // Somebody is there, who is no host.
    drop(soon(elsewhere.accept()).await.unwrap());

    soon(host.next_connection()).await.unwrap();
    assert!(matches!(soon(events.next()).await, Some(ClientEvent::Disconnected { .. })));
}

#[tokio::test]
async fn a_host_that_drains_is_come_back_to() {
    let (host, _, _client, mut events, connection) = start().await;
    soon(connection.close(CloseCode::GoingAway)).await.unwrap();
    let Some(ClientEvent::Disconnected { again_in }) = soon(events.next()).await else {
        panic!("it is not final")
    };
    assert!(again_in >= Duration::from_millis(500));
    soon(host.next_connection()).await.unwrap();
}

#[tokio::test]
async fn an_application_that_takes_no_events_loses_the_connection_and_no_event() {
    let (host, _, _client, mut events, mut connection) = start().await;
    let many = 600;
    for seq in 1..=many {
        // The client hangs up somewhere in between.
        if connection.deliver(seq, cancel(&format!("s{seq}")), None).await.is_err() {
            break;
        }
    }
    while soon(connection.next()).await.is_some() {}
    let mut seen = 0;
    let reading = async {
        while seen < many {
            let session = next_session(&mut events).await;
            seen += 1;
            assert_eq!(session, format!("s{seen}"));
        }
    };
    let serving = async {
        loop {
            let again = soon(host.next_connection()).await.unwrap();
            serve(again, many).await;
        }
    };
    tokio::select! {
        () = reading => {}
        () = serving => unreachable!("it serves forever"),
    }
    assert_eq!(seen, many);
}

/// Delivers what comes after the client's cursor, and waits until the client hangs up.
async fn serve(mut connection: FakeConnection, many: u64) {
    let from = connection.hello.cursor.as_ref().map_or(0, |cursor| cursor.seq);
    for seq in from + 1..=many {
        if connection.deliver(seq, cancel(&format!("s{seq}")), None).await.is_err() {
            break;
        }
    }
    while connection.next().await.is_some() {}
}

#[tokio::test]
async fn nobody_at_the_address_is_told_at_once() {
    let (_host, identity, _client, _events, _connection) = start().await;
    let settings = Settings::new("ws://127.0.0.1:9", "acme".parse().unwrap(), "phone".parse().unwrap());
    assert!(matches!(soon(Client::connect(settings, identity)).await, Err(ConnectError::Failed(_))));
}

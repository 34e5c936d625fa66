//! Devices that were away, and come back: what still counts, once, on one connection.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use switchhook_client::{CallError, ClientEvent};
use switchhook_protocol::{
    client::Cursor,
    event::Event,
    invitation::{Cancel, StopReason},
    server::Resumed,
};
use switchhook_tests::{host::Host, phone::Phone, raw::Raw, stage::Stage, waiting::in_time};

use crate::{
    three::{ALICE, BOB},
    tls::PROGRAM,
};

/// PUSH-3
#[tokio::test]
async fn inv_2_a_device_that_was_away_rings_for_what_is_left_of_the_time() -> Result<()> {
    let host = Host::start().await?;
    let (alice, bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let (settings, identity) = bob.leave().await;
    let status = alice.invite(BOB).await?;
    assert_eq!(status.devices.len(), 1);

    let mut bob = Phone::connect(settings, identity).await?;

    let (left, rung) = bob
        .expect("the ring", |event| {
            let ClientEvent::Event(delivered) = event else { return None };
            let Event::Invite(rung) = &delivered.event else { return None };
            Some((delivered.expires_in_ms, rung.clone()))
        })
        .await?;
    let left = left.unwrap();
    assert!(left > 0 && left < status.ring_ms, "{left} of {} ms", status.ring_ms);
    bob.accept(&rung).await??;
    Ok(())
}

/// PUSH-3
#[tokio::test]
async fn inv_17_a_device_that_was_away_hears_of_the_end_and_does_not_ring_on() -> Result<()> {
    let host = Host::start().await?;
    let (alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let status = alice.invite(BOB).await?;
    bob.expect_invite().await?;
    let (settings, identity) = bob.leave().await;
    in_time("the cancel", alice.client.cancel(&Cancel { ticket: status.ticket.clone() })).await??;

    let mut bob = Phone::connect(settings, identity).await?;

    assert_eq!(bob.expect_cancel(&status.session).await?, StopReason::Cancelled);
    Ok(())
}

/// PUSH-3
#[tokio::test]
async fn a_client_goes_on_after_the_last_event_that_it_has() -> Result<()> {
    let host = Host::start().await?;
    let (alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let first = alice.invite(BOB).await?;
    let cursor = bob
        .expect("the ring", |event| {
            let ClientEvent::Event(delivered) = event else { return None };
            Some(Cursor { epoch: delivered.epoch.clone(), seq: delivered.seq })
        })
        .await?;
    let (settings, identity) = bob.leave().await;
    in_time("the cancel", alice.client.cancel(&Cancel { ticket: first.ticket })).await??;
    let second = alice.invite(BOB).await?;

    let mut bob = Phone::connect(settings.cursor(Some(cursor)), identity).await?;

    assert_eq!(resumed(&mut bob).await?, Resumed::Full);
    assert_eq!(bob.expect_cancel(&first.session).await?, StopReason::Cancelled);
    assert_eq!(bob.expect_invite().await?.session, second.session, "the first ring does not come again");
    Ok(())
}

/// PUSH-3: a ring that is over is not told of any more, and whoever missed it knows that something is missing.
#[tokio::test]
async fn who_missed_what_has_expired_is_told_partial_and_a_sync_says_what_counts() -> Result<()> {
    let stage = Stage::start(PROGRAM).await?;
    let (alice, mut bob) = (stage.device("phone", ALICE).await?, stage.device("phone", BOB).await?);
    let first = alice.invite(BOB).await?;
    in_time("the cancel", alice.client.cancel(&Cancel { ticket: first.ticket })).await??;
    let last = |event: &ClientEvent| {
        let ClientEvent::Event(delivered) = event else { return None };
        let is_last = matches!(delivered.event, Event::Cancel(_));
        is_last.then(|| Cursor { epoch: delivered.epoch.clone(), seq: delivered.seq })
    };
    let cursor = bob.expect("the cancel", last).await?;
    let (settings, identity) = bob.leave().await;
    let missed = alice.invite(BOB).await?;

    stage.is_later(Duration::from_millis(missed.ring_ms))?;
    let mut bob = Phone::connect(settings.cursor(Some(cursor)), identity).await?;

    assert_eq!(resumed(&mut bob).await?, Resumed::Partial);
    let counts = in_time("sync", bob.client.sync()).await??;
    assert_eq!((counts.rings.len(), counts.registrations), (0, vec![BOB.parse()?]));
    // What comes now comes as always.
    let status = alice.invite(BOB).await?;
    let rung = bob.expect_invite().await?;
    assert_eq!(rung.session, status.session, "the ring that is over does not come");
    assert_eq!(in_time("sync", bob.client.sync()).await??.rings.len(), 1);
    Ok(())
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_and_says_so() -> Result<()> {
    let host = Host::start().await?;
    let (alice, bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let (settings, identity) = bob.leave().await;
    let connect = async || Raw::welcomed(host.addresses().http, &settings.tenant, &identity).await;
    let mut raw = connect().await?;
    let status = alice.invite(BOB).await?;
    let first = raw.message().await?;
    assert_eq!((&first["kind"], &first["redelivered"]), (&json!("invite"), &json!(false)));
    // That it was sent is noted a moment after.
    host.admin.leg_is(&status.session, &identity.device, "pushed").await?;

    let mut raw = connect().await?;
    let again = raw.message().await?;
    assert_eq!((&again["message_id"], &again["redelivered"]), (&first["message_id"], &json!(true)));

    raw.say(json!({ "type": "ack", "seq": again["seq"] }).to_string()).await?;
    assert!(raw.serves().await?, "the ack was read before that");
    let mut raw = connect().await?;
    raw.say(json!({ "type": "request", "id": "r", "op": "sync", "body": {} }).to_string()).await?;
    assert_eq!(raw.message().await?["id"], json!("r"), "nothing comes a third time");
    Ok(())
}

#[tokio::test]
async fn a_second_connection_of_a_device_takes_the_place_of_the_first() -> Result<()> {
    let host = Host::start().await?;
    let (alice, mut first) = (host.phone(ALICE).await?, host.phone(BOB).await?);

    let mut second = Phone::connect(first.settings.clone(), first.identity.clone()).await?;

    let finished = first
        .expect("the end", |event| {
            if let ClientEvent::Ended(finished) = event { Some(finished.clone()) } else { None }
        })
        .await?;
    assert_eq!((finished.code, finished.reason.as_str()), (4509, "replaced"));
    let status = alice.invite(BOB).await?;
    assert_eq!(second.expect_invite().await?.session, status.session);
    let refused = in_time("the answer", first.client.sync()).await?;
    assert_eq!(refused, Err(CallError::Closed));
    Ok(())
}

/// What the host says that the device missed.
async fn resumed(device: &mut Phone) -> Result<Resumed> {
    device
        .expect("welcome", |event| {
            if let ClientEvent::Connected(welcome) = event { Some(welcome.resumed) } else { None }
        })
        .await
}

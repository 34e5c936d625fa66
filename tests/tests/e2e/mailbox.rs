//! Devices that were away, and come back: what still counts, once, on one connection.

use anyhow::Result;
use switchhook_client::{CallError, ClientEvent};
use switchhook_protocol::{
    client::Cursor,
    event::Event,
    invitation::{Cancel, StopReason},
    server::Resumed,
};
use switchhook_tests::{host::Host, phone::Phone, waiting::in_time};

use crate::three::{ALICE, BOB};

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

    let resumed = bob
        .expect("welcome", |event| {
            if let ClientEvent::Connected(welcome) = event { Some(welcome.resumed) } else { None }
        })
        .await?;
    assert_eq!(resumed, Resumed::Full);
    assert_eq!(bob.expect_cancel(&first.session).await?, StopReason::Cancelled);
    assert_eq!(bob.expect_invite().await?.session, second.session, "the first ring does not come again");
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

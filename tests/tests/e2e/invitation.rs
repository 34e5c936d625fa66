//! Invites, from ring to silence: who rings, who is taken, who stops, and who is told.

use std::time::Duration;

use anyhow::Result;
use reqwest::StatusCode;
use serde_json::json;
use switchhook_client::ClientEvent;
use switchhook_protocol::{
    error::ErrorCode,
    event::Event,
    invitation::{Cancel, InviteStatus, StopReason, UserOutcome},
};
use switchhook_tests::{
    host::Host,
    phone::{Phone, open, refusal},
    raw::{Raw, code_of},
    stage::Stage,
    waiting::in_time,
};

use crate::{
    three::{ALICE, BOB, Three},
    tls::PROGRAM,
};

/// INV-3, INV-1
#[tokio::test]
async fn inv_2_every_device_of_the_invited_rings_and_the_inviter_is_told_which() -> Result<()> {
    let mut three = Three::start().await?;
    let rings = three.ring().await?;

    let mut kinds: Vec<&str> = rings.status.devices.iter().map(|device| device.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["phone", "tablet"]);
    assert!(rings.status.not_registered.is_empty());
    assert!(rings.status.devices.iter().all(|device| device.endpoint.reveal() == BOB));

    for rung in [&rings.at_phone, &rings.at_tablet] {
        assert_eq!(rung.session, rings.status.session);
        assert_eq!((rung.purpose.as_str(), rung.display_name.as_str()), ("audio", "Alice"));
        assert_eq!((rung.inviter.endpoint.reveal(), rung.invited.reveal()), (ALICE, BOB));
        // What would identify or reach the inviter outside of this session is sealed.
        let text = serde_json::to_string(rung)?;
        assert!(!text.contains(three.alice.identity.push_token.as_str()), "an alias stands for the token");
        assert!(!text.contains("127.0.0.1"), "connection data is sealed until a direct verdict");
    }
    assert_ne!(rings.at_phone.ticket, rings.at_tablet.ticket);
    for _ in 0..2 {
        three.alice.expect_event("ringing", |event| matches!(event, Event::Ringing(_)).then_some(())).await?;
    }
    Ok(())
}

/// INV-6.first-accept, INV-4, INV-5
#[tokio::test]
async fn inv_6_the_first_accept_is_taken_and_the_other_device_falls_silent() -> Result<()> {
    let mut three = Three::start().await?;
    let rings = three.ring().await?;
    let session = &rings.status.session;
    three.tablet.hold_bell();

    let answer = three.phone.accept(&rings.at_phone).await??;

    let pushed = three.alice.expect_accept(session).await?;
    assert_eq!((&answer.session, &pushed.session), (session, session));
    assert_eq!(pushed.peer.device_key, three.phone.identity.key.public());
    assert_eq!(answer.peer.device_key, three.alice.identity.key.public());
    assert_eq!(pushed.media_key, answer.media_key);
    assert_eq!(three.tablet.expect_cancel(session).await?, StopReason::AnsweredElsewhere);

    // Silence is proven by the ringer's return, not by the order to stop.
    let told = three.host.admin.leg_is(session, three.tablet.device(), "stopped").await?;
    assert_eq!(told["silent"], json!(false));
    three.tablet.let_go();
    let silent = three.host.admin.leg_is(session, three.tablet.device(), "stop-confirmed").await?;
    assert_eq!(silent["silent"], json!(true));
    three.host.admin.leg_is(session, three.phone.device(), "taken").await?;
    assert_eq!(three.host.admin.invitation_state(session).await?, "taken");
    Ok(())
}

/// INV-6.first-accept
#[tokio::test]
async fn inv_6_of_two_accepts_at_once_exactly_one_is_taken() -> Result<()> {
    let mut three = Three::start().await?;
    for _ in 0..5 {
        let rings = three.ring().await?;
        let session = &rings.status.session;

        let (phone, tablet) =
            tokio::join!(three.phone.accept(&rings.at_phone), three.tablet.accept(&rings.at_tablet));

        let (winner, loser, silent) = match (phone?, tablet?) {
            (Ok(winner), loser @ Err(_)) => (winner, loser, &mut three.tablet),
            (loser @ Err(_), Ok(winner)) => (winner, loser, &mut three.phone),
            both => panic!("one is taken: {both:?}"),
        };
        assert_eq!(refusal(loser)?, ErrorCode::AnsweredElsewhere);
        assert_eq!(silent.expect_cancel(session).await?, StopReason::AnsweredElsewhere);
        three.host.admin.leg_is(session, silent.device(), "stop-confirmed").await?;
        assert_eq!(three.alice.expect_accept(session).await?.session, winner.session);
    }
    let accepts = three.alice.heard().await?;
    assert_eq!(accepts.iter().filter(|event| is_accept(event)).count(), 0, "one accept a session");
    Ok(())
}

/// INV-6.first-accept
#[tokio::test]
async fn inv_6_an_accept_whose_answer_was_lost_is_answered_again() -> Result<()> {
    let mut three = Three::start().await?;
    let rings = three.ring().await?;
    let accept = Phone::accept_of(&three.phone.prepare(&open()).await?, &rings.at_phone);

    let first = in_time("the accept", three.phone.client.accept(&accept)).await??;
    let again = in_time("the accept", three.phone.client.accept(&accept)).await??;

    assert_eq!((first.session, first.media_key), (again.session, again.media_key));
    Ok(())
}

#[tokio::test]
async fn inv_4_one_decline_and_then_all_are_told_apart() -> Result<()> {
    let mut three = Three::start().await?;
    let rings = three.ring().await?;
    let session = &rings.status.session;

    in_time("the decline", three.tablet.rings.decline(&rings.at_tablet, "busy")).await??;

    assert_eq!(three.declined(session).await?, "busy");
    assert_eq!(three.host.admin.invitation_state(session).await?, "ringing");
    in_time("the decline", three.phone.rings.decline(&rings.at_phone, "declined")).await??;
    assert_eq!(three.declined(session).await?, "declined");
    let outcome = three.alice.expect_outcome(session).await?;
    assert_eq!((outcome.outcome, outcome.endpoint.reveal()), (UserOutcome::AllDeclined, BOB));
    assert_eq!(three.host.admin.invitation_state(session).await?, "declined");

    let late = three.phone.accept(&rings.at_phone).await?;
    assert_eq!(refusal(late)?, ErrorCode::NoLongerRinging);
    Ok(())
}

#[tokio::test]
async fn inv_4_after_one_decline_the_other_device_may_accept() -> Result<()> {
    let mut three = Three::start().await?;
    let rings = three.ring().await?;
    in_time("the decline", three.tablet.rings.decline(&rings.at_tablet, "busy")).await??;

    three.phone.accept(&rings.at_phone).await??;

    three.alice.expect_accept(&rings.status.session).await?;
    Ok(())
}

#[tokio::test]
async fn inv_4_when_the_ring_time_is_over_everybody_hears_it() -> Result<()> {
    let stage = Stage::start(PROGRAM).await?;
    let shorter = json!({ "ring_time_seconds": 25 });
    let (status, _) = stage.admin.configure("invite-router/route-ring-all", &shorter).await?;
    assert_eq!(status, StatusCode::OK);
    let (mut alice, mut phone) = (stage.device("phone", ALICE).await?, stage.device("phone", BOB).await?);
    let mut tablet = stage.device("tablet", BOB).await?;
    let InviteStatus { session, ring_ms, .. } = alice.invite(BOB).await?;
    assert_eq!(ring_ms, 25_000);
    let (at_phone, _) = (phone.expect_invite().await?, tablet.expect_invite().await?);

    stage.is_later(Duration::from_millis(ring_ms))?;

    assert_eq!(alice.expect_outcome(&session).await?.outcome, UserOutcome::NoAnswer);
    for device in [&mut phone, &mut tablet] {
        assert_eq!(device.expect_cancel(&session).await?, StopReason::NoAnswer);
        stage.admin.leg_is(&session, device.device(), "stop-confirmed").await?;
    }
    assert_eq!(stage.admin.invitation_state(&session).await?, "no-answer");
    let late = phone.accept(&at_phone).await?;
    assert_eq!(refusal(late)?, ErrorCode::NoLongerRinging);
    Ok(())
}

#[tokio::test]
async fn inv_4_nobody_registered_is_said_at_once() -> Result<()> {
    let host = Host::start().await?;
    let alice = host.phone(ALICE).await?;
    let before = host.stored().await?;
    let invite = alice.invite_of(&alice.prepare(&open()).await?, &[BOB])?;

    let answer = in_time("the answer", alice.client.invite(&invite)).await?;

    assert_eq!(refusal(answer)?, ErrorCode::NoneRegistered);
    // Nor is the own device rung.
    let own = alice.invite_of(&alice.prepare(&open()).await?, &[ALICE])?;
    let answer = in_time("the answer", alice.client.invite(&own)).await?;
    assert_eq!(refusal(answer)?, ErrorCode::NoneRegistered);
    assert_eq!(host.stored().await?, before);
    Ok(())
}

#[tokio::test]
async fn inv_3_who_of_the_invited_has_no_device_is_told_beside_who_rings() -> Result<()> {
    let host = Host::start().await?;
    let (alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let invite = alice.invite_of(&alice.prepare(&open()).await?, &["+15550199", BOB])?;

    let status = in_time("the answer", alice.client.invite(&invite)).await??;

    assert_eq!(status.not_registered, ["+15550199".parse()?]);
    assert_eq!(status.devices.len(), 1);
    bob.expect_invite().await?;
    Ok(())
}

#[tokio::test]
async fn inv_17_the_inviters_cancel_stops_every_rung_device() -> Result<()> {
    let mut three = Three::start().await?;
    let rings = three.ring().await?;
    let session = &rings.status.session;
    let cancel = Cancel { ticket: rings.status.ticket.clone() };

    // Only the inviter may.
    let by_phone = Cancel { ticket: rings.at_phone.ticket.clone() };
    let refused = in_time("the answer", three.phone.client.cancel(&by_phone)).await?;
    assert_eq!(refusal(refused)?, ErrorCode::WrongRole);
    let stolen = in_time("the answer", three.phone.client.cancel(&cancel)).await?;
    assert_eq!(refusal(stolen)?, ErrorCode::BadTicket);

    in_time("the cancel", three.alice.client.cancel(&cancel)).await??;

    for phone in [&mut three.phone, &mut three.tablet] {
        assert_eq!(phone.expect_cancel(session).await?, StopReason::Cancelled);
        three.host.admin.leg_is(session, phone.device(), "stop-confirmed").await?;
    }
    let late = three.phone.accept(&rings.at_phone).await?;
    assert_eq!(refusal(late)?, ErrorCode::NoLongerRinging);
    // Said again, it is done already.
    in_time("the cancel", three.alice.client.cancel(&cancel)).await??;
    Ok(())
}

#[tokio::test]
async fn inv_17_there_is_nothing_to_cancel_after_an_accept() -> Result<()> {
    let mut three = Three::start().await?;
    let rings = three.ring().await?;
    three.phone.accept(&rings.at_phone).await??;

    let cancel = Cancel { ticket: rings.status.ticket.clone() };
    let answer = in_time("the answer", three.alice.client.cancel(&cancel)).await?;

    assert_eq!(refusal(answer)?, ErrorCode::NoLongerRinging);
    Ok(())
}

#[tokio::test]
async fn inv_1_an_identifier_that_is_not_the_inviters_own_rings_nobody() -> Result<()> {
    let host = Host::start().await?;
    let (alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let before = host.stored().await?;
    let prepared = alice.prepare(&open()).await?;

    for from in [BOB, "+15550177"] {
        let mut invite = alice.invite_of(&prepared, &[BOB])?;
        invite.from = from.parse()?;
        let answer = in_time("the answer", alice.client.invite(&invite)).await?;
        assert_eq!(refusal(answer)?, ErrorCode::NotYourIdentifier);
    }

    assert_eq!(host.stored().await?, before);
    let heard = bob.heard().await?;
    assert!(!heard.iter().any(|event| matches!(event, ClientEvent::Event(_))), "{heard:?}");
    Ok(())
}

#[tokio::test]
async fn inv_1_an_invite_out_of_bounds_rings_nobody() -> Result<()> {
    let host = Host::start().await?;
    let (alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let good = serde_json::to_value(alice.invite_of(&alice.prepare(&open()).await?, &[BOB])?)?;
    let before = host.stored().await?;
    let tenant = &alice.settings.tenant;
    let mut raw = Raw::welcomed(host.addresses().http, tenant, &alice.identity).await?;
    let candidate = json!({ "kind": "host", "address": "127.0.0.1:9", "priority": 1 });

    for (pointer, value, code) in [
        ("/invited", json!([]), "malformed"),
        ("/invited", json!(vec![BOB; 17]), "malformed"),
        ("/invited", json!(["two words"]), "malformed"),
        ("/from", json!("+1555010x"), "malformed"),
        ("/purpose", json!(""), "too-large"),
        ("/purpose", json!("x".repeat(65)), "too-large"),
        ("/display_name", json!("x".repeat(129)), "too-large"),
        ("/session_key/public", json!("AAAA"), "unauthorized"),
        ("/connection_data/observed", json!(vec!["x"; 5]), "too-large"),
        ("/connection_data/claimed/host_candidates", json!(vec![candidate; 9]), "too-large"),
    ] {
        let mut invite = good.clone();
        *invite.pointer_mut(pointer).unwrap() = value.clone();
        let answer = raw.request("invite", invite).await?;
        assert_eq!(code_of(&answer), code, "{pointer} = {value}");
    }

    assert_eq!(host.stored().await?, before);
    assert!(raw.request("invite", good).await?.get("ok").is_some());
    bob.expect_invite().await?;
    Ok(())
}

fn is_accept(event: &ClientEvent) -> bool {
    matches!(event, ClientEvent::Event(delivered) if matches!(delivered.event, Event::Accept(_)))
}

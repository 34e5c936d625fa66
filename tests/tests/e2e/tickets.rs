//! Tickets and aliases: whom they serve, and where.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use switchhook_client::ClientEvent;
use switchhook_protocol::{
    client::Signal,
    error::ErrorCode,
    event::Rung,
    invitation::{Ringing, Stopped},
    relay::RelayRequest,
    session::{End, SessionRenew, SessionUpdate},
};
use switchhook_tests::{phone::refusal, stage::Stage, waiting::in_time};

use crate::{
    three::{ALICE, BOB, Three},
    tls::PROGRAM,
};

#[tokio::test]
async fn inv_11_an_alias_passes_live_messages_in_its_session_and_in_no_other() -> Result<()> {
    let mut three = Three::start().await?;
    let rings = three.ring().await?;
    let signal = Signal {
        ticket: rings.at_phone.ticket.clone(),
        to: rings.at_phone.inviter.alias.clone(),
        data: json!({ "candidate": 1 }),
    };

    in_time("the signal", three.phone.client.signal(signal.clone())).await??;

    let got = three.heard_signal().await?;
    assert_eq!((&got.session, &got.data), (&rings.status.session, &signal.data));
    // The other session's alias does not open here; the answer to a live message is an error without id, so
    // what counts is that only the good one arrives.
    let other = three.ring().await?;
    let crossed =
        Signal { to: other.at_phone.inviter.alias.clone(), data: json!("crossed"), ..signal.clone() };
    in_time("the signal", three.phone.client.signal(crossed)).await??;
    let good = Signal { data: json!("good"), ..signal };
    in_time("the signal", three.phone.client.signal(good)).await??;
    assert_eq!(three.heard_signal().await?.data, json!("good"));
    Ok(())
}

/// Like a signal.
#[tokio::test]
async fn inv_11_presence_is_passed_live_in_its_session_and_in_no_other() -> Result<()> {
    let mut three = Three::start().await?;
    let (rings, other) = (three.ring().await?, three.ring().await?);
    let away = Signal {
        ticket: rings.at_phone.ticket.clone(),
        to: rings.at_phone.inviter.alias.clone(),
        data: json!("away"),
    };

    let crossed = Signal { to: other.at_phone.inviter.alias.clone(), data: json!("crossed"), ..away.clone() };
    for said in [crossed, away] {
        in_time("the presence", three.phone.client.presence(said)).await??;
    }

    let presence = |event: &ClientEvent| {
        if let ClientEvent::Presence(presence) = event { Some(presence.clone()) } else { None }
    };
    let heard = three.alice.expect("the presence", presence).await?;
    assert_eq!((heard.session, heard.data), (rings.status.session, json!("away")));
    Ok(())
}

/// A ticket is its holder's: shown by another device, or in another place, it opens nothing.
#[tokio::test]
async fn inv_11_a_ticket_serves_its_holder_alone() -> Result<()> {
    let mut three = Three::start().await?;
    let rings = three.ring().await?;
    let ticket = rings.at_phone.ticket.clone();

    let ringing =
        in_time("the answer", three.tablet.client.ringing(&Ringing { ticket: ticket.clone() })).await?;
    assert_eq!(refusal(ringing)?, ErrorCode::BadTicket);
    let stopped =
        in_time("the answer", three.tablet.client.stopped(&Stopped { ticket: ticket.clone() })).await?;
    assert_eq!(refusal(stopped)?, ErrorCode::BadTicket);
    let stolen = Rung { ticket: ticket.clone(), ..rings.at_tablet.clone() };
    assert_eq!(refusal(three.tablet.accept_by_hand(&stolen).await?)?, ErrorCode::BadTicket);
    let last = if ticket.ends_with('A') { "B" } else { "A" };
    let changed = Rung { ticket: format!("{}{last}", &ticket[..ticket.len() - 1]), ..rings.at_phone.clone() };
    assert_eq!(refusal(three.phone.accept_by_hand(&changed).await?)?, ErrorCode::BadTicket);
    let inviters = Rung { ticket: rings.status.ticket.clone(), ..rings.at_phone.clone() };
    assert_eq!(refusal(three.phone.accept_by_hand(&inviters).await?)?, ErrorCode::BadTicket);

    three.phone.accept(&rings.at_phone).await??;
    Ok(())
}

/// Longer than a ticket lives.
const DAYS: Duration = Duration::from_hours(49);

#[tokio::test]
async fn inv_11_a_ticket_that_is_old_opens_nothing_and_a_new_session_is_what_is_left() -> Result<()> {
    let stage = Stage::start(PROGRAM).await?;
    let (mut alice, mut bob) = (stage.device("phone", ALICE).await?, stage.device("phone", BOB).await?);
    let status = alice.invite(BOB).await?;
    let rung = bob.expect_invite().await?;
    bob.accept(&rung).await??;
    let ticket = alice.expect_accept(&status.session).await?.ticket;
    let update = SessionUpdate { ticket: ticket.clone(), data: json!("still there?"), idempotency_key: None };
    in_time("the update", alice.client.session_update(&update)).await??;

    stage.is_later(DAYS)?;

    let client = &alice.client;
    let old = |ticket: &str| ticket.to_owned();
    let refused = [
        refusal(in_time("the update", client.session_update(&update)).await?)?,
        refusal(in_time("the relay", client.relay_request(&RelayRequest { ticket: old(&ticket) })).await?)?,
        refusal(in_time("the renewal", client.session_renew(&SessionRenew { ticket: old(&ticket) })).await?)?,
        refusal(
            in_time("the end", client.end(&End { ticket: old(&ticket), reason: "x".to_owned() })).await?,
        )?,
    ];
    assert_eq!(refused, [ErrorCode::TicketExpired; 4]);
    let status = alice.invite(BOB).await?;
    assert_eq!(bob.expect_invite().await?.session, status.session);
    Ok(())
}

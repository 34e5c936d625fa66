//! The user's other device asks for the session.

use anyhow::Result;
use switchhook_client::ClientEvent;
use switchhook_protocol::{
    error::ErrorCode,
    event::Event,
    session::{SessionAsk, SessionAskPending, SessionAsked, SessionRefuse, SessionRefused},
};
use switchhook_tests::{
    phone::{Phone, refusal},
    waiting::in_time,
};

use super::{BOB, CAROL, InCall, end};

/// INV-18.asked
#[tokio::test]
async fn inv_18_the_users_other_device_asks_for_the_session_and_is_refused() -> Result<()> {
    let mut call = InCall::start().await?;
    let ask = SessionAsk { session: call.status.session.clone() };

    let SessionAskPending { asks_ms } = in_time("the ask", call.tablet.client.session_ask(&ask)).await??;
    let (asked, counts_ms) = asked(&mut call.phone).await?;
    assert_eq!((&asked.session, asked.endpoint.reveal()), (&call.status.session, BOB));
    assert_eq!(asked.device_kind, "tablet");
    assert!(0 < counts_ms && counts_ms <= asks_ms, "an ask that nobody answers is over: {counts_ms}");

    let refuse = SessionRefuse {
        ticket: call.answer.ticket.clone(),
        to: asked.alias.clone(),
        reason: "mine".to_owned(),
    };
    in_time("the refusal", call.phone.client.session_refuse(&refuse)).await??;
    let refused = refused(&mut call.tablet).await?;
    assert_eq!((&refused.session, refused.endpoint.reveal()), (&call.status.session, BOB));
    assert_eq!((refused.refused_by.as_str(), refused.reason.as_str()), ("phone", "mine"));

    // The session is as it was.
    assert_eq!(call.sessions_of_all().await?, [1, 1, 1]);
    in_time("the end", call.phone.client.end(&end(&call.answer))).await??;
    let over = in_time("the answer", call.tablet.client.session_ask(&ask)).await?;
    assert_eq!(refusal(over)?, ErrorCode::NotRunning);
    let over = in_time("the answer", call.phone.client.session_refuse(&refuse)).await?;
    assert_eq!(refusal(over)?, ErrorCode::NotRunning);
    Ok(())
}

/// INV-18.asked
#[tokio::test]
async fn inv_18_nobody_else_asks_for_a_session_nor_refuses_it() -> Result<()> {
    let mut call = InCall::start().await?;
    let stranger = call.host.phone(CAROL).await?;
    let before = call.host.stored().await?;
    let ask = SessionAsk { session: call.status.session.clone() };
    for (device, code) in [
        (&call.phone, ErrorCode::WrongRole),
        (&call.alice, ErrorCode::WrongRole),
        (&stranger, ErrorCode::NotRunning),
    ] {
        let refused = in_time("the answer", device.client.session_ask(&ask)).await?;
        assert_eq!(refusal(refused)?, code);
    }
    let none = SessionAsk { session: "nosuchsession".parse()? };
    let refused = in_time("the answer", stranger.client.session_ask(&none)).await?;
    assert_eq!(refusal(refused)?, ErrorCode::NotRunning, "what a stranger learns of one that runs");
    assert_eq!(call.host.stored().await?, before);

    in_time("the ask", call.tablet.client.session_ask(&ask)).await??;
    let (asked, _) = asked(&mut call.phone).await?;
    let refuse = |ticket: &str, to: &str, reason: &str| SessionRefuse {
        ticket: ticket.to_owned(),
        to: to.to_owned(),
        reason: reason.to_owned(),
    };
    for (by, refuse, code) in [
        (&call.alice, refuse(&call.pushed.ticket, &asked.alias, "no"), ErrorCode::WrongRole),
        (&call.phone, refuse(&call.answer.ticket, &call.answer.peer.alias, "no"), ErrorCode::WrongRole),
        (&call.phone, refuse(&call.answer.ticket, "no alias", "no"), ErrorCode::BadTicket),
        (&call.tablet, refuse(&call.answer.ticket, &asked.alias, "no"), ErrorCode::BadTicket),
        (&call.phone, refuse(&call.answer.ticket, &asked.alias, &"no".repeat(64)), ErrorCode::TooLarge),
    ] {
        let refused = in_time("the answer", by.client.session_refuse(&refuse)).await?;
        assert_eq!(refusal(refused)?, code);
    }
    Ok(())
}

/// With how long it counts.
async fn asked(device: &mut Phone) -> Result<(SessionAsked, u64)> {
    device
        .expect("the ask", |event| {
            let ClientEvent::Event(delivered) = event else { return None };
            let Event::SessionAsked(asked) = &delivered.event else { return None };
            Some((asked.clone(), delivered.expires_in_ms?))
        })
        .await
}

async fn refused(device: &mut Phone) -> Result<SessionRefused> {
    device
        .expect_event("the refusal", |event| {
            if let Event::SessionRefused(refused) = event { Some(refused.clone()) } else { None }
        })
        .await
}

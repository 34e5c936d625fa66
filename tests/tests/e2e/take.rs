//! The inviter chooses among the devices that accept.

use anyhow::Result;
use switchhook_protocol::{
    error::ErrorCode,
    event::Event,
    invitation::{StopReason, Take},
    relay::RelayRequest,
};
use switchhook_tests::{phone::refusal, waiting::in_time};

use crate::three::Three;

/// INV-6.choose: both accept, the inviter takes the tablet, the phone is told to stop.
#[tokio::test]
async fn inv_6_with_take_choose_every_accept_is_told_and_the_inviter_takes_one() -> Result<()> {
    let mut three = Three::start().await?;
    let rings = three.ring_to_choose().await?;
    let session = &rings.status.session;

    let answer = three.phone.accept(&rings.at_phone).await??;
    assert!(answer.awaits_take);
    let phones = three.alice.expect_accept(session).await?;
    three.tablet.accept(&rings.at_tablet).await??;
    let tablets = three.alice.expect_accept(session).await?;
    assert_eq!(three.host.admin.invitation_state(session).await?, "ringing");
    let early = RelayRequest { ticket: answer.ticket.clone() };
    let early = in_time("the answer", three.phone.client.relay_request(&early)).await?;
    assert_eq!(refusal(early)?, ErrorCode::NotRunning, "an offer is no part in a session");

    let take = Take { tickets: vec![tablets.ticket.clone()] };
    in_time("the take", three.alice.client.take(&take)).await??;

    three.tablet.expect_event("taken", |event| matches!(event, Event::Taken(_)).then_some(())).await?;
    assert_eq!(three.phone.expect_cancel(session).await?, StopReason::AnsweredElsewhere);
    assert_eq!(three.host.admin.invitation_state(session).await?, "taken");
    let relay = RelayRequest { ticket: tablets.ticket };
    in_time("the relay", three.alice.client.relay_request(&relay)).await??;
    let late = in_time("the answer", three.alice.client.take(&Take { tickets: vec![phones.ticket] })).await?;
    assert_eq!(refusal(late)?, ErrorCode::NoLongerRinging);
    Ok(())
}

/// INV-6.choose: several of one user, and only the inviter's own tickets count.
#[tokio::test]
async fn inv_6_with_take_choose_several_are_taken_and_nobody_else_takes() -> Result<()> {
    let mut three = Three::start().await?;
    let rings = three.ring_to_choose().await?;
    let session = &rings.status.session;
    let answer = three.phone.accept(&rings.at_phone).await??;
    three.tablet.accept(&rings.at_tablet).await??;
    let mut tickets = vec![];
    for _ in 0..2 {
        tickets.push(three.alice.expect_accept(session).await?.ticket);
    }

    let by_invited = Take { tickets: vec![answer.ticket] };
    let by_invited = in_time("the answer", three.phone.client.take(&by_invited)).await?;
    assert_eq!(refusal(by_invited)?, ErrorCode::WrongRole);
    let stolen = in_time("the answer", three.phone.client.take(&Take { tickets: tickets.clone() })).await?;
    assert_eq!(refusal(stolen)?, ErrorCode::BadTicket);
    let nobody = in_time("the answer", three.alice.client.take(&Take { tickets: vec![] })).await?;
    assert_eq!(refusal(nobody)?, ErrorCode::Malformed);

    in_time("the take", three.alice.client.take(&Take { tickets })).await??;
    for device in [&mut three.phone, &mut three.tablet] {
        device.expect_event("taken", |event| matches!(event, Event::Taken(_)).then_some(())).await?;
    }
    Ok(())
}

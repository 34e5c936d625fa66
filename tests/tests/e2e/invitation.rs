//! Invites, from ring to silence: who rings, who is taken, who stops, and who is told.

use anyhow::Result;
use reqwest::StatusCode;
use serde_json::json;
use switchhook_client::{CallError, ClientEvent};
use switchhook_protocol::{
    client::{Cursor, Signal},
    error::ErrorCode,
    event::{Event, Rung},
    id::SessionId,
    invitation::{Cancel, Invite, InviteStatus, Ringing, StopReason, Stopped, Take, TakeMode, UserOutcome},
    relay::RelayRequest,
    server::Resumed,
};
use switchhook_tests::{
    host::Host,
    phone::{Phone, open, refusal},
    raw::{Raw, code_of},
    waiting::in_time,
};

const ALICE: &str = "+15550100";
const BOB: &str = "+15550101";

/// Alice's phone; Bob's phone and tablet.
struct Three {
    host: Host,
    alice: Phone,
    phone: Phone,
    tablet: Phone,
}

/// A session that rings on both of Bob's devices.
struct Rings {
    status: InviteStatus,
    at_phone: Rung,
    at_tablet: Rung,
}

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
    let mut three = Three::start().await?;
    let shorter = json!({ "ring_time_seconds": 1 });
    let (status, _) = three.host.admin.configure("invite-router/route-ring-all", &shorter).await?;
    assert_eq!(status, StatusCode::OK);
    let rings = three.ring().await?;
    let session = &rings.status.session;
    assert_eq!(rings.status.ring_ms, 1_000);

    let outcome = three.alice.expect_outcome(session).await?;

    assert_eq!(outcome.outcome, UserOutcome::NoAnswer);
    for phone in [&mut three.phone, &mut three.tablet] {
        assert_eq!(phone.expect_cancel(session).await?, StopReason::NoAnswer);
        three.host.admin.leg_is(session, phone.device(), "stop-confirmed").await?;
    }
    assert_eq!(three.host.admin.invitation_state(session).await?, "no-answer");
    let late = three.phone.accept(&rings.at_phone).await?;
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

impl Three {
    async fn start() -> Result<Self> {
        Box::pin(async {
            let host = Host::start().await?;
            let alice = host.phone(ALICE).await?;
            let phone = host.phone(BOB).await?;
            let tablet = host.device("tablet", BOB).await?;
            Ok(Self { host, alice, phone, tablet })
        })
        .await
    }

    async fn ring(&mut self) -> Result<Rings> {
        let status = self.alice.invite(BOB).await?;
        let at_phone = self.phone.expect_invite().await?;
        let at_tablet = self.tablet.expect_invite().await?;
        Ok(Rings { status, at_phone, at_tablet })
    }

    /// The same, and the inviter chooses.
    async fn ring_to_choose(&mut self) -> Result<Rings> {
        let prepared = self.alice.prepare(&open()).await?;
        let invite = Invite { take: TakeMode::Choose, ..self.alice.invite_of(&prepared, &[BOB])? };
        let status = in_time("the invite", self.alice.client.invite(&invite)).await??;
        let at_phone = self.phone.expect_invite().await?;
        let at_tablet = self.tablet.expect_invite().await?;
        Ok(Rings { status, at_phone, at_tablet })
    }

    /// Waits until everybody is connected again.
    async fn declined(&mut self, session: &SessionId) -> Result<String> {
        self.alice
            .expect_event("a decline", |event| {
                let Event::Decline(declined) = event else { return None };
                (declined.session == *session).then(|| declined.reason.clone())
            })
            .await
    }

    async fn heard_signal(&mut self) -> Result<switchhook_protocol::server::PeerSignal> {
        self.alice
            .expect("a signal", |event| {
                if let ClientEvent::Signal(signal) = event { Some(signal.clone()) } else { None }
            })
            .await
    }
}

fn is_accept(event: &ClientEvent) -> bool {
    matches!(event, ClientEvent::Event(delivered) if matches!(delivered.event, Event::Accept(_)))
}

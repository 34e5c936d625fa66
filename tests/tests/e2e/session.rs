//! Running sessions: who is shown what, how they end, who is taken out.

mod ask;

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use switchhook_client::CallError;
use switchhook_protocol::{
    call::Snapshot,
    endpoint::EndpointId,
    error::ErrorCode,
    event::{Event, Rung},
    id::SessionId,
    invitation::{Accepted, InviteStatus, StopReason},
    relay::RelayRequest,
    session::{Answered, Change, End, InviteUpdate, SessionChanged, SessionRenew, SessionUpdate},
};
use switchhook_tests::{
    host::Host,
    phone::{Phone, open, refusal},
    waiting::{in_time, now, until},
};

const ALICE: &str = "+15550100";
const BOB: &str = "+15550101";
const CAROL: &str = "+15550102";

/// Seconds after which a participant is lost: longer than a client needs to come back on a busy machine.
const LOST_AFTER: u8 = 12;

/// Alice in a call with Bob's phone; Bob's tablet lies beside it.
struct InCall {
    host: Host,
    alice: Phone,
    phone: Phone,
    tablet: Phone,
    status: InviteStatus,
    /// What Alice got.
    pushed: Accepted,
    /// What Bob's phone got.
    answer: Accepted,
}

/// INV-18.shown
#[tokio::test]
async fn inv_7_the_users_other_device_is_shown_who_answered_and_how_long_the_call_runs() -> Result<()> {
    let mut call = InCall::start().await?;

    let update = InviteUpdate { ticket: call.pushed.ticket.clone() };
    in_time("the update", call.alice.client.invite_update(&update)).await??;

    let answered = answered(&mut call.tablet).await?;
    assert_eq!(answered.session, call.status.session);
    assert_eq!(answered.answered_by, "phone");
    assert_eq!((answered.from.reveal(), answered.invited.reveal()), (ALICE, BOB));
    let shown = in_time("sync", call.tablet.client.sync()).await??;
    let [session] = &shown.sessions[..] else { panic!("one session: {shown:?}") };
    assert!(!session.takes_part && session.running_ms >= answered.running_ms);
    assert!(session.participants.iter().map(EndpointId::reveal).eq([ALICE, BOB]));
    // Only the inviter says who answered; only who takes part says anything.
    let by_invited = InviteUpdate { ticket: call.answer.ticket.clone() };
    let refused = in_time("the answer", call.phone.client.invite_update(&by_invited)).await?;
    assert_eq!(refusal(refused)?, ErrorCode::WrongRole);
    Ok(())
}

#[tokio::test]
async fn inv_8_what_a_participant_tells_reaches_the_other_and_the_users_other_devices() -> Result<()> {
    let mut call = InCall::start().await?;
    let data = json!({ "video": true });

    let update =
        SessionUpdate { ticket: call.answer.ticket.clone(), data: data.clone(), idempotency_key: None };
    in_time("the update", call.phone.client.session_update(&update)).await??;

    for device in [&mut call.alice, &mut call.tablet] {
        let changed = changed(device).await?;
        assert_eq!((changed.by.reveal(), &changed.change), (BOB, &Change::Told { data: data.clone() }));
    }
    let large = SessionUpdate { data: json!("x".repeat(4 * 1024)), ..update };
    let refused = in_time("the answer", call.phone.client.session_update(&large)).await?;
    assert_eq!(refusal(refused)?, ErrorCode::TooLarge);
    Ok(())
}

/// Whoever ends, everybody is told, and nothing of the session works any more.
#[tokio::test]
async fn inv_8_the_end_of_a_session_is_told_to_all_and_its_tickets_open_nothing() -> Result<()> {
    let mut call = InCall::start().await?;
    assert_eq!(call.sessions_of_all().await?, [1, 1, 1]);

    in_time("the end", call.phone.client.end(&end(&call.answer))).await??;

    for device in [&mut call.alice, &mut call.tablet] {
        assert_eq!(changed(device).await?.change, Change::Ended { reason: "hung-up".to_owned() });
    }
    assert_eq!(call.sessions_of_all().await?, [0, 0, 0]);
    let again = in_time("the answer", call.phone.client.end(&end(&call.answer))).await?;
    assert_eq!(refusal(again)?, ErrorCode::NotRunning);
    let relay = RelayRequest { ticket: call.pushed.ticket.clone() };
    let relay = in_time("the answer", call.alice.client.relay_request(&relay)).await?;
    assert_eq!(refusal(relay)?, ErrorCode::NotRunning);
    Ok(())
}

/// A snapshot of somebody who rings and is in no call differs from an empty one, and from one in a call.
#[tokio::test]
async fn sync_tells_what_rings_what_runs_and_what_does_not() -> Result<()> {
    let host = Host::start().await?;
    let (alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    assert_eq!(told(&sync(&bob).await?), (0, 0));

    let status = alice.invite(BOB).await?;
    let rung = bob.expect_invite().await?;
    let ringing = sync(&bob).await?;
    assert_eq!(told(&ringing), (1, 0));
    assert_eq!(ringing.rings[0].from.reveal(), ALICE);
    assert!(ringing.rings[0].rings_ms > 0 && ringing.rings[0].rings_ms <= status.ring_ms);
    assert_eq!(told(&sync(&alice).await?), (0, 0), "the inviter does not ring");

    bob.accept(&rung).await??;
    let running = sync(&bob).await?;
    assert_eq!(told(&running), (0, 1));
    assert!(running.sessions[0].takes_part);
    assert_eq!(running.sessions[0].session, status.session);
    Ok(())
}

/// Nothing but the device's key is left of it, and nobody else is in the call for ever.
#[tokio::test]
async fn inv_8_an_application_that_came_back_without_its_ticket_ends_the_call() -> Result<()> {
    let call = InCall::start().await?;
    let InCall { alice, phone, mut tablet, .. } = call;
    let ticket = |shown: &Snapshot| shown.sessions[0].ticket.clone();
    assert_eq!(ticket(&sync(&tablet).await?), None, "it takes no part");
    for device in [&alice, &phone] {
        let data = json!({ "is": "back" });
        let ticket = ticket(&sync(device).await?).context("it takes part")?;
        let update = SessionUpdate { ticket, data: data.clone(), idempotency_key: None };
        in_time("the update", device.client.session_update(&update)).await??;
        assert_eq!(changed(&mut tablet).await?.change, Change::Told { data });
    }

    let ticket = ticket(&sync(&phone).await?).context("it takes part")?;
    in_time("the end", phone.client.end(&End { ticket, reason: "lost-my-ticket".to_owned() })).await??;

    assert_eq!(told(&sync(&alice).await?), (0, 0));
    assert_eq!(told(&sync(&phone).await?), (0, 0));
    Ok(())
}

/// A repeated accept is answered again only while the session runs.
#[tokio::test]
async fn a_session_that_is_over_is_not_woken_by_a_repeated_accept() -> Result<()> {
    let host = Host::start().await?;
    let (alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let status = alice.invite(BOB).await?;
    let rung = bob.expect_invite().await?;
    let answer = bob.accept(&rung).await??;
    in_time("the end", bob.client.end(&end(&answer))).await??;

    let again = bob.accept_by_hand(&rung).await?;

    assert_eq!(refusal(again)?, ErrorCode::NotRunning);
    assert_eq!(participants(&host, &status.session).await?, 0);
    Ok(())
}

/// INV-15, INV-11.generations: of three, one leaves; the others go on with new tickets, the old ones are refused.
#[tokio::test]
async fn inv_15_of_several_invited_one_leaves_and_the_others_go_on() -> Result<()> {
    let Party { host, mut alice, mut bob, carol, to_carol, status, with_bob } = Party::start().await?;
    let carols = carol.accept(&to_carol).await??;
    alice.expect_accept(&status.session).await?;
    assert_eq!(participants(&host, &status.session).await?, 3);

    in_time("the end", carol.client.end(&end(&carols))).await??;

    let Change::Left { reason, renewed: Some(renewed) } = changed(&mut alice).await?.change else {
        panic!("Carol left")
    };
    assert_eq!((reason.as_str(), renewed.towards.reveal()), ("hung-up", BOB));
    let Change::Left { renewed: Some(bobs), .. } = changed(&mut bob).await?.change else {
        panic!("Carol left")
    };
    assert_eq!(bobs.media_key, renewed.media_key);
    assert_ne!(renewed.media_key, with_bob.media_key);
    let data = json!("still here");
    let old = SessionUpdate { ticket: with_bob.ticket.clone(), data: data.clone(), idempotency_key: None };
    let refused = in_time("the answer", alice.client.session_update(&old)).await?;
    assert_eq!(refusal(refused)?, ErrorCode::OldTicket);
    let new = SessionUpdate { ticket: renewed.ticket, data: data.clone(), idempotency_key: None };
    in_time("the update", alice.client.session_update(&new)).await??;
    assert_eq!(changed(&mut bob).await?.change, Change::Told { data });
    assert_eq!(participants(&host, &status.session).await?, 2);
    Ok(())
}

/// INV-11: who takes part gets a new ticket before the old one is over; nobody else, and not with one of before.
#[tokio::test]
async fn inv_11_a_participants_ticket_is_renewed_while_the_session_runs() -> Result<()> {
    let Party { host: _host, mut alice, mut bob, carol, to_carol, status, with_bob } = Party::start().await?;
    let renew = |ticket: &str| SessionRenew { ticket: ticket.to_owned() };
    let renewed = in_time("the ticket", alice.client.session_renew(&renew(&with_bob.ticket))).await??;
    assert_ne!(renewed.ticket, with_bob.ticket);
    assert!(renewed.expires_in_ms > 23 * 3_600_000, "{renewed:?}");

    let data = json!("after a day");
    let update = SessionUpdate { ticket: renewed.ticket.clone(), data: data.clone(), idempotency_key: None };
    in_time("the update", alice.client.session_update(&update)).await??;
    assert_eq!(changed(&mut bob).await?.change, Change::Told { data });

    let foreign = in_time("the answer", bob.client.session_renew(&renew(&renewed.ticket))).await?;
    assert_eq!(refusal(foreign)?, ErrorCode::BadTicket);
    let rung = in_time("the answer", carol.client.session_renew(&renew(&to_carol.ticket))).await?;
    assert_eq!(refusal(rung)?, ErrorCode::WrongRole, "who only rings takes no part yet");
    let carols = carol.accept(&to_carol).await??;
    alice.expect_accept(&status.session).await?;
    in_time("the end", carol.client.end(&end(&carols))).await??;
    changed(&mut alice).await?;
    let old = in_time("the answer", alice.client.session_renew(&renew(&renewed.ticket))).await?;
    assert_eq!(refusal(old)?, ErrorCode::OldTicket);
    Ok(())
}

/// INV-15: the inviter leaves while another user still rings.
#[tokio::test]
async fn inv_15_the_end_of_a_session_silences_whoever_still_rings() -> Result<()> {
    let Party { host: _host, alice, mut bob, mut carol, status, with_bob, .. } = Party::start().await?;

    in_time("the end", alice.client.end(&end(&with_bob))).await??;

    assert_eq!(carol.expect_cancel(&status.session).await?, StopReason::Cancelled);
    assert!(matches!(changed(&mut bob).await?.change, Change::Ended { .. }));
    Ok(())
}

/// INV-11: a phone that vanishes in a call is taken out, one that stays is not, and both across a restart.
#[tokio::test]
async fn a_participant_whose_device_vanishes_is_taken_out_after_the_stated_time() -> Result<()> {
    let mut host = Host::with(|settings| settings.sessions.lost_after_s = LOST_AFTER.into()).await?;
    let (mut alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let status = alice.invite(BOB).await?;
    let rung = bob.expect_invite().await?;
    bob.accept(&rung).await??;

    // Nobody is lost by a restart, nor while everybody is online.
    host.restart(async |_| Ok(())).await?;
    let lost_at = now().after(Duration::from_secs(u64::from(LOST_AFTER) + 1)).as_millis();
    until("marks later than the time after which they would be lost", async || {
        let session = host.admin.session(&status.session).await?;
        let seen = session.get("participants").and_then(Value::as_array).context("participants")?;
        assert_eq!(seen.len(), 2, "{session:#}");
        let seen_since = |it: &Value| it.get("seen_at").and_then(Value::as_u64) >= Some(lost_at);
        Ok(seen.iter().all(seen_since).then_some(()))
    })
    .await?;
    bob.leave().await;

    assert_eq!(changed(&mut alice).await?.change, Change::Ended { reason: "lost".to_owned() });
    assert_eq!(participants(&host, &status.session).await?, 0);
    Ok(())
}

/// Alice invited Bob, who is in the call, and Carol, who rings.
struct Party {
    host: Host,
    alice: Phone,
    bob: Phone,
    carol: Phone,
    to_carol: Rung,
    status: InviteStatus,
    /// What Alice got of Bob's accept.
    with_bob: Accepted,
}

impl Party {
    async fn start() -> Result<Self> {
        Box::pin(async {
            let host = Host::start().await?;
            let (mut alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
            let mut carol = host.phone(CAROL).await?;
            let invite = alice.invite_of(&alice.prepare(&open()).await?, &[BOB, CAROL])?;
            let status = in_time("the invite", alice.client.invite(&invite)).await??;
            let (to_bob, to_carol) = (bob.expect_invite().await?, carol.expect_invite().await?);
            bob.accept(&to_bob).await??;
            let with_bob = alice.expect_accept(&status.session).await?;
            Ok(Self { host, alice, bob, carol, to_carol, status, with_bob })
        })
        .await
    }
}

impl InCall {
    async fn start() -> Result<Self> {
        Box::pin(async {
            let host = Host::start().await?;
            let mut alice = host.phone(ALICE).await?;
            let mut phone = host.phone(BOB).await?;
            let mut tablet = host.device("tablet", BOB).await?;
            let status = alice.invite(BOB).await?;
            let (rung, _) = (phone.expect_invite().await?, tablet.expect_invite().await?);
            let answer = phone.accept(&rung).await??;
            let pushed = alice.expect_accept(&status.session).await?;
            tablet.expect_cancel(&status.session).await?;
            Ok(Self { host, alice, phone, tablet, status, pushed, answer })
        })
        .await
    }

    /// How many sessions Alice's phone, Bob's phone and Bob's tablet are told of.
    async fn sessions_of_all(&self) -> Result<Vec<usize>> {
        let mut counts = vec![];
        for device in [&self.alice, &self.phone, &self.tablet] {
            counts.push(sync(device).await?.sessions.len());
        }
        assert_eq!(participants(&self.host, &self.status.session).await? > 0, counts != [0, 0, 0]);
        Ok(counts)
    }
}

async fn sync(device: &Phone) -> Result<Snapshot> {
    Ok(in_time::<Result<_, CallError>>("sync", device.client.sync()).await??)
}

/// How many rings and sessions a snapshot has.
fn told(snapshot: &Snapshot) -> (usize, usize) {
    (snapshot.rings.len(), snapshot.sessions.len())
}

fn end(accepted: &Accepted) -> End {
    End { ticket: accepted.ticket.clone(), reason: "hung-up".to_owned() }
}

async fn participants(host: &Host, session: &SessionId) -> Result<usize> {
    let shown = host.admin.session(session).await?;
    Ok(shown.get("participants").and_then(Value::as_array).context("participants")?.len())
}

async fn answered(device: &mut Phone) -> Result<Answered> {
    device
        .expect_event("who answered", |event| {
            if let Event::InviteUpdate(answered) = event { Some(answered.clone()) } else { None }
        })
        .await
}

async fn changed(device: &mut Phone) -> Result<SessionChanged> {
    device
        .expect_event("a change", |event| {
            if let Event::SessionUpdate(changed) = event { Some(changed.clone()) } else { None }
        })
        .await
}

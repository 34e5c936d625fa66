//! Routers that go on: asked again on busy, decline and no answer, forwarded, given up; by a tenant's own service.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use serde_json::{Value, json};
use switchhook_protocol::{
    event::{Event, Rerouted},
    invitation::{Decline, UserOutcome},
};
use switchhook_tests::{
    host::Host,
    phone::{Phone, open, refusal},
    service::Service,
    stage::Stage,
    waiting::{in_time, until},
};

use crate::tls::PROGRAM;

const ALICE: &str = "+15550100";
const BOB: &str = "+15550101";
const CAROL: &str = "+15550102";
const ROUTER: &str = "invite-router/own";

/// A ring time, in milliseconds, that nobody's test outlives, and one that a test waits for.
const LONG: u32 = 60_000;
const SHORT: u32 = 1_000;

/// A host whose router is this function of the question.
async fn host(route: impl Fn(&Asked) -> Value + Clone + Send + Sync + 'static) -> Result<(Host, Service)> {
    let host = Host::with(|settings| settings.plugins.allow_loopback = true).await?;
    let service = router(route).await?;
    service.install(&host, ROUTER).await?;
    Ok((host, service))
}

async fn router(route: impl Fn(&Asked) -> Value + Clone + Send + Sync + 'static) -> Result<Service> {
    Service::start(move |asked| {
        if asked.get("describe").is_some() {
            return json!({ "name": "own", "version": "1", "summary": "Hunts.", "text_prefixes": [] });
        }
        let Some(question) = asked.get("route") else { return json!({}) };
        json!({ "ring": route(&Asked(question.clone())) })
    })
    .await
}

/// What the router is asked.
struct Asked(Value);

impl Asked {
    fn all(&self, name: &str) -> Vec<Value> {
        self.0.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
    }

    /// Positions of the devices of this kind that have no outcome yet.
    fn untried(&self, kind: &str) -> Vec<usize> {
        let so_far = self.all("so_far");
        let tried = |index: usize| so_far.iter().any(|leg| leg["target"] == json!(index));
        let targets = self.all("targets");
        let of_kind = targets.iter().enumerate().filter(|(_, target)| target["kind"] == json!(kind));
        of_kind.map(|(index, _)| index).filter(|index| !tried(*index)).collect()
    }
}

/// Rings these for a time; then `finally`.
fn plan(targets: &[usize], ring_time_ms: u32, (ask_again, finally): (Value, Value)) -> Value {
    let rings: Vec<Value> =
        targets.iter().map(|target| json!({ "target": target, "ring_time_ms": ring_time_ms })).collect();
    let waves = if rings.is_empty() { json!([]) } else { json!([{ "rings": rings, "starts_after_ms": 0 }]) };
    json!({ "waves": waves, "ask_again": ask_again, "finally": finally })
}

/// The phone first and then the tablet, each for as long as told; then gives up with a word.
fn hunts(asked: &Asked, ask_again: Value, [phone_ms, tablet_ms]: [u32; 2]) -> Value {
    let then = (ask_again, json!({ "give-up": "nobody-home" }));
    let phones = asked.untried("phone");
    if phones.is_empty() {
        plan(&asked.untried("tablet"), tablet_ms, then)
    } else {
        plan(&phones, phone_ms, then)
    }
}

/// INV-4: a decline has the router asked again, and the tablet rings.
#[tokio::test]
async fn inv_2_a_decline_brings_the_next_device_and_the_inviter_is_told() -> Result<()> {
    let again = json!({ "declined": true, "no_answer": true });
    let (host, _service) = host(move |asked| hunts(asked, again.clone(), [LONG; 2])).await?;
    let (mut alice, mut phone) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let mut tablet = host.device("tablet", BOB).await?;
    let status = alice.invite(BOB).await?;
    assert_eq!(status.devices.len(), 1, "the phone alone");

    decline(&mut phone, "later").await?;

    let rung = tablet.expect_invite().await?;
    assert_eq!(rung.session, status.session);
    let rerouted = rerouted(&mut alice).await?;
    assert_eq!((rerouted.session, rerouted.devices[0].kind.as_str()), (status.session.clone(), "tablet"));
    let answer = tablet.accept(&rung).await??;
    let pushed = alice.expect_accept(&status.session).await?;
    assert_eq!(answer.media_key, pushed.media_key, "the second plan's rings have the session's key");
    Ok(())
}

/// INV-11: nobody is awake, and the process that began is gone: the plan goes on.
#[tokio::test]
async fn inv_4_no_answer_brings_the_next_device_while_everybody_sleeps_and_after_a_restart() -> Result<()> {
    let (mut host, _service) =
        host(|asked| hunts(asked, json!({ "no_answer": true }), [SHORT, LONG])).await?;
    let (alice, phone) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    // Before its turn can come, however long the rest takes.
    let (settings, identity) = host.device("tablet", BOB).await?.leave().await;
    let status = alice.invite(BOB).await?;
    let (_alice, _phone) = (alice.leave().await, phone.leave().await);

    host.restart(async |_| Ok(())).await?;
    until("the tablet's leg", async || {
        let session = host.admin.session(&status.session).await?;
        let legs = session.get("legs").and_then(Value::as_array).map_or(0, Vec::len);
        Ok((legs == 2).then_some(()))
    })
    .await?;

    let mut tablet = Phone::connect(settings, identity).await?;
    assert_eq!(tablet.expect_invite().await?.session, status.session);
    Ok(())
}

/// INV-4: when the router has nobody left, the inviter is told what became of it, with the router's word.
#[tokio::test]
async fn inv_4_busy_declined_and_no_answer_are_told_apart_with_the_routers_word() -> Result<()> {
    let everybody = json!({ "busy": true, "declined": true, "no_answer": true });
    let ring_time = Arc::new(AtomicU32::new(LONG));
    let told = Arc::clone(&ring_time);
    let routed = move |asked: &Asked| hunts(asked, everybody.clone(), [told.load(Ordering::SeqCst); 2]);
    let (host, _service) = host(routed).await?;
    let (mut alice, mut phone) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let mut tablet = host.device("tablet", BOB).await?;

    for (words, expected) in [
        (Some(["busy", "busy"]), UserOutcome::Busy),
        (Some(["busy", "later"]), UserOutcome::AllDeclined),
        (None, UserOutcome::NoAnswer),
    ] {
        // Short only where nobody has to be in time.
        ring_time.store(if words.is_some() { LONG } else { SHORT }, Ordering::SeqCst);
        let status = alice.invite(BOB).await?;
        if let Some([first, second]) = words {
            decline(&mut phone, first).await?;
            decline(&mut tablet, second).await?;
        }
        let outcome = alice.expect_outcome(&status.session).await?;
        assert_eq!((outcome.outcome, outcome.word.as_deref()), (expected, Some("nobody-home")));
    }
    Ok(())
}

/// The plan of one user's decline is that user's: the other's router is still asked, with its own devices.
#[tokio::test]
async fn inv_15_two_users_are_routed_each_by_a_plan_of_its_own() -> Result<()> {
    let (host, _service) = host(|asked| {
        if asked.all("so_far").is_empty() {
            let everybody: Vec<usize> = (0..asked.all("targets").len()).collect();
            return plan(&everybody, LONG, (json!({ "declined": true }), json!({ "give-up": "nobody-yet" })));
        }
        let users: Vec<Value> = asked.all("targets").iter().map(|target| target["user"].clone()).collect();
        let word = if users == [json!(0)] { "bob-is-out" } else { "carol-is-out" };
        plan(&[], LONG, (json!({}), json!({ "give-up": word })))
    })
    .await?;
    let (mut alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let mut carol = host.phone(CAROL).await?;
    let invite = alice.invite_of(&alice.prepare(&open()).await?, &[BOB, CAROL])?;
    let status = in_time("the invite", alice.client.invite(&invite)).await??;

    for (phone, word) in [(&mut bob, "bob-is-out"), (&mut carol, "carol-is-out")] {
        decline(phone, "later").await?;
        let outcome = alice.expect_outcome(&status.session).await?;
        assert_eq!((outcome.outcome, outcome.word.as_deref()), (UserOutcome::AllDeclined, Some(word)));
    }
    Ok(())
}

/// INV-2: the invite goes on to another identifier when nobody accepts, or at once.
#[tokio::test]
async fn inv_2_an_invite_is_forwarded_and_the_other_answers() -> Result<()> {
    let (host, _service) = host(|asked| {
        let ring_time = if asked.all("so_far").is_empty() { SHORT } else { LONG };
        plan(&asked.untried("phone"), ring_time, (json!({}), json!({ "forward": CAROL })))
    })
    .await?;
    let (mut alice, _bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let mut carol = host.phone(CAROL).await?;
    let status = alice.invite(BOB).await?;
    assert_eq!(status.devices.len(), 1, "Bob's phone alone, until its ring time is over");

    let rung = carol.expect_invite().await?;

    assert_eq!((&rung.session, rung.invited.reveal()), (&status.session, CAROL));
    carol.accept(&rung).await??;
    let accepted = alice.expect_accept(&status.session).await?;
    assert_eq!(accepted.peer.endpoint.reveal(), CAROL);
    let known = host.admin.get("explain?about=%2B15550102").await?;
    assert_eq!(known.pointer("/sessions/0/session"), Some(&json!(status.session)), "{known:#}");
    assert_eq!(known.pointer("/sessions/0/users/0/forwarded"), Some(&json!(["+1…02"])), "{known:#}");
    Ok(())
}

/// A router that always names another ends, and the inviter is told.
#[tokio::test]
async fn inv_2_a_loop_of_forwards_ends() -> Result<()> {
    let (host, _service) = host(|asked| {
        // Bob's phone first; then for ever somebody else, who has no device.
        let next = rand::random::<u32>();
        let finally = json!({ "forward": format!("somebody-{next}") });
        plan(&asked.untried("phone"), LONG, (json!({}), finally))
    })
    .await?;
    let (mut alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let status = alice.invite(BOB).await?;
    decline(&mut bob, "later").await?;

    let outcome = alice.expect_outcome(&status.session).await?;

    assert_eq!(outcome.outcome, UserOutcome::AllDeclined);
    let asked = host.admin.decisions(status.session.as_str()).await?;
    assert!(asked.len() <= 6, "{} decisions", asked.len());
    Ok(())
}

/// INV-17: a cancel while the router is to be asked again ends it.
#[tokio::test]
async fn inv_17_nothing_goes_on_after_a_cancel() -> Result<()> {
    let stage = Stage::with(PROGRAM, "[plugins]\nallow_loopback = true\n").await?;
    let service = router(|asked| hunts(asked, json!({ "no_answer": true }), [LONG; 2])).await?;
    service.install_by(&stage.admin, ROUTER).await?;
    let (alice, mut phone) = (stage.device("phone", ALICE).await?, stage.device("phone", BOB).await?);
    let mut tablet = stage.device("tablet", BOB).await?;
    let status = alice.invite(BOB).await?;
    phone.expect_invite().await?;
    let cancel = switchhook_protocol::invitation::Cancel { ticket: status.ticket.clone() };
    in_time("the cancel", alice.client.cancel(&cancel)).await??;
    assert_eq!(stage.admin.invitation_state(&status.session).await?, "cancelled");

    // The timer of the first ring's end is taken up; it would have had the router asked again.
    stage.is_later(Duration::from_millis(LONG.into()))?;
    until("the ring's end", async || Ok((stage.stored().await?.get("timers") == Some(&0)).then_some(())))
        .await?;
    assert!(!tablet.heard().await?.iter().any(|event| format!("{event:?}").contains("Invite(")));
    let late = in_time("the answer", alice.client.cancel(&cancel)).await?;
    assert!(late.is_ok(), "{:?}", refusal(late));
    Ok(())
}

async fn decline(device: &mut Phone, reason: &str) -> Result<()> {
    let rung = device.expect_invite().await?;
    let decline = Decline { ticket: rung.ticket, reason: reason.to_owned() };
    in_time("the decline", device.client.decline(&decline)).await??;
    Ok(())
}

async fn rerouted(inviter: &mut Phone) -> Result<Rerouted> {
    inviter
        .expect_event("more devices", |event| {
            if let Event::Rerouted(rerouted) = event { Some(rerouted.clone()) } else { None }
        })
        .await
}

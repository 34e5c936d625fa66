//! Devices that come while their user is rung: they register only now, or are back after their own ring was over.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use switchhook_protocol::{
    event::{Event, Rerouted},
    id::SessionId,
    invitation::Cancel,
};
use switchhook_tests::{
    host::Host,
    phone::Phone,
    service::Service,
    waiting::{in_time, until},
};

use crate::three::{ALICE, BOB};

const CAROL: &str = "+15550102";

#[tokio::test]
async fn inv_2_a_device_that_registers_while_its_user_is_rung_rings_once_and_may_answer() -> Result<()> {
    let host = Host::start().await?;
    let (mut alice, mut phone) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let status = alice.invite(BOB).await?;
    let rung = phone.expect_invite().await?;

    let mut tablet = host.device("tablet", BOB).await?;

    let late = tablet.expect_invite().await?;
    assert_eq!((&late.session, &late.inviter.device_key), (&status.session, &rung.inviter.device_key));
    let told = rerouted(&mut alice).await?;
    assert_eq!((told.devices.len(), told.devices[0].kind.as_str()), (1, "tablet"));
    assert!(told.ring_ms <= status.ring_ms, "{} of {} ms", told.ring_ms, status.ring_ms);
    // Registering again is not coming again.
    tablet.register(&host.transit.carrier, &BOB.parse()?).await?;
    assert_eq!(legs(&host, &status.session).await?, 2);

    let answer = tablet.accept(&late).await??;
    assert_eq!(answer.media_key, alice.expect_accept(&status.session).await?.media_key);
    phone.expect_cancel(&status.session).await?;
    assert_eq!(tablet.rings_heard().await?, 0);
    Ok(())
}

#[tokio::test]
async fn inv_17_a_device_that_registers_after_the_answer_or_the_cancel_does_not_ring() -> Result<()> {
    let host = Host::start().await?;
    let (alice, mut phone) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let answered = alice.invite(BOB).await?;
    let rung = phone.expect_invite().await?;
    phone.accept(&rung).await??;
    let cancelled = alice.invite(BOB).await?;
    in_time("the cancel", alice.client.cancel(&Cancel { ticket: cancelled.ticket.clone() })).await??;

    let mut tablet = host.device("tablet", BOB).await?;

    // What rings it comes after, through the same timers and the same mailbox.
    let next = alice.invite(BOB).await?;
    assert_eq!(tablet.expect_invite().await?.session, next.session);
    assert_eq!(tablet.rings_heard().await?, 0);
    for over in [answered, cancelled] {
        assert_eq!(legs(&host, &over.session).await?, 1);
    }
    Ok(())
}

/// PUSH-3: the phone's own second is over when the tablet's wave begins.
#[tokio::test]
async fn push_3_a_device_that_was_away_for_its_own_ring_rings_when_it_is_back() -> Result<()> {
    let host = Host::with(|settings| settings.plugins.allow_loopback = true).await?;
    let _service = phone_then_tablet(&host).await?;
    let (alice, phone) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let mut tablet = host.device("tablet", BOB).await?;
    let (settings, identity) = phone.leave().await;
    until("the phone to be away", async || {
        let known = host.admin.get("explain?about=%2B15550101").await?;
        let away = |device: &Value| device["kind"] == json!("phone") && device["online"] == json!(false);
        Ok(known["devices"].as_array().is_some_and(|devices| devices.iter().any(away)).then_some(()))
    })
    .await?;
    let status = alice.invite(BOB).await?;
    tablet.expect_invite().await?;

    let mut phone = Phone::connect(settings, identity).await?;

    let rung = phone.expect_invite().await?;
    assert_eq!(rung.session, status.session);
    assert_eq!(legs(&host, &status.session).await?, 2, "the same leg, begun anew");
    phone.accept(&rung).await??;
    tablet.expect_cancel(&status.session).await?;
    Ok(())
}

/// Nobody is left to go on to, so that nothing of how it went on is kept but the row.
#[tokio::test]
async fn inv_2_a_device_that_registers_for_whom_it_was_forwarded_to_rings() -> Result<()> {
    let host = Host::with(|settings| settings.plugins.allow_loopback = true).await?;
    let _service = on_to_carol(&host).await?;
    let (mut alice, mut phone) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let mut carols = host.phone(CAROL).await?;
    let status = alice.invite(BOB).await?;
    phone.expect_invite().await?;
    carols.expect_invite().await?;
    rerouted(&mut alice).await?;

    let mut tablet = host.device("tablet", CAROL).await?;

    let rung = tablet.expect_invite().await?;
    assert_eq!(rung.session, status.session);
    assert_eq!(rerouted(&mut alice).await?.devices[0].kind, "tablet");
    tablet.accept(&rung).await??;
    carols.expect_cancel(&status.session).await?;
    Ok(())
}

/// A router that rings everybody for a second, and whoever is there then for a minute.
async fn on_to_carol(host: &Host) -> Result<Service> {
    let service = Service::start(|asked| {
        if asked.get("describe").is_some() {
            return json!({ "name": "own", "version": "1", "summary": "On to Carol.", "text_prefixes": [] });
        }
        let Some(question) = asked.get("route") else { return json!({}) };
        let list = |of: &str| question.get(of).and_then(Value::as_array).cloned().unwrap_or_default();
        let (targets, so_far) = (list("targets"), list("so_far"));
        let untried = (0..targets.len()).filter(|at| !so_far.iter().any(|leg| leg["target"] == json!(at)));
        let (ring_time_ms, finally) = if so_far.is_empty() {
            (1_000, json!({ "forward": CAROL }))
        } else {
            (60_000, json!({ "give-up": "no-answer" }))
        };
        let rings: Vec<Value> =
            untried.map(|at| json!({ "target": at, "ring_time_ms": ring_time_ms })).collect();
        json!({ "ring": { "waves": [{ "rings": rings, "starts_after_ms": 0 }], "finally": finally } })
    })
    .await?;
    service.install(host, "invite-router/own").await?;
    Ok(service)
}

/// A router that rings phones for a second and then tablets for twenty.
async fn phone_then_tablet(host: &Host) -> Result<Service> {
    let service = Service::start(|asked| {
        if asked.get("describe").is_some() {
            return json!({ "name": "own", "version": "1", "summary": "In turn.", "text_prefixes": [] });
        }
        let Some(question) = asked.get("route") else { return json!({}) };
        let targets = question.get("targets").and_then(Value::as_array).cloned().unwrap_or_default();
        let wave = |kind: &str, starts_after_ms: u32, ring_time_ms: u32| {
            let of_kind = targets.iter().enumerate().filter(|(_, target)| target["kind"] == json!(kind));
            let rings: Vec<Value> =
                of_kind.map(|(at, _)| json!({ "target": at, "ring_time_ms": ring_time_ms })).collect();
            json!({ "rings": rings, "starts_after_ms": starts_after_ms })
        };
        let waves = [wave("phone", 0, 1_000), wave("tablet", 1_000, 20_000)];
        let waves: Vec<&Value> = waves.iter().filter(|wave| wave["rings"] != json!([])).collect();
        json!({ "ring": { "waves": waves, "finally": { "give-up": "no-answer" } } })
    })
    .await?;
    service.install(host, "invite-router/own").await?;
    Ok(service)
}

async fn rerouted(phone: &mut Phone) -> Result<Rerouted> {
    phone
        .expect_event("more devices", |event| {
            if let Event::Rerouted(rerouted) = event { Some(rerouted.clone()) } else { None }
        })
        .await
}

/// Rings that a test has not asked for.
async fn legs(host: &Host, session: &SessionId) -> Result<usize> {
    let shown = host.admin.session(session).await?;
    Ok(shown.get("legs").and_then(Value::as_array).context("no legs")?.len())
}

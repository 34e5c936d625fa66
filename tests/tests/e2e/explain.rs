//! "Why did it not ring?": the answer differs with the reason, and from that of a call that went well.

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::{Value, json};
use switchhook_protocol::{
    event::Event,
    invitation::{Invite, StopReason},
};
use switchhook_tests::{
    host::Host,
    phone::{Phone, open},
    waiting::{in_time, until},
};
use tokio::process::Command;

const ALICE: &str = "+15550100";
const BOB: &str = "+15550101";

#[tokio::test]
async fn a_call_that_went_well_has_no_finding_and_its_whole_course_on_one_line_of_time() -> Result<()> {
    let host = Host::start().await?;
    let (mut alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let status = alice.invite(BOB).await?;
    let rung = bob.expect_invite().await?;
    rings(&mut alice).await?;
    bob.accept(&rung).await??;

    let course = ["invited", "queued", "pushed", "rang", "taken", "joined", "joined"];
    let known = until("the whole course", async || {
        let known = explain(&host, status.session.as_str()).await?;
        Ok((of_devices(&known) == course).then_some(known))
    })
    .await?;

    assert_eq!(findings(&known), Vec::<String>::new());
    let session = &known.pointer("/sessions/0").context("a session")?;
    assert_eq!(session.pointer("/runs"), Some(&true.into()));
    assert_eq!(session.pointer("/users/0/rang"), Some(&1.into()));
    let slots = session.pointer("/decisions").and_then(Value::as_array).context("decisions")?;
    assert!(slots.iter().map(|decision| &decision["slot"]).eq(["invite-router", "nat-policy"]));
    assert!(!known.to_string().contains(BOB), "identifiers are masked");
    // What was decided stands on the same line, before what it led to.
    let place = |what: &str| line(&known).into_iter().position(|it| it == what).context("on the line");
    assert!(place("invite-router")? < place("invited")?, "{known:#}");
    assert!(place("nat-policy")? < place("taken")?, "{known:#}");
    Ok(())
}

/// REG-10: whoever asks for a number finds who dialled it in another way.
#[tokio::test]
async fn a_dialled_invite_that_was_refused_is_found_by_the_number_that_was_meant() -> Result<()> {
    let host = Host::start().await?;
    let alice = host.phone(ALICE).await?;
    let invite = alice.invite_of(&alice.prepare(&open()).await?, &[])?;
    let dialled = Invite { dialled: vec!["+49 (30) 123456".to_owned()], ..invite };

    let told = in_time("the answer", alice.client.invite(&dialled)).await?;
    assert!(told.is_err(), "nobody has that number");

    assert_eq!(refused(&explain(&host, "+4930123456").await?).len(), 1);
    Ok(())
}

/// Nothing is stored of a refusal, and yet it is told, to its tenant alone.
#[tokio::test]
async fn an_invite_that_was_refused_is_explained_with_what_it_was_told() -> Result<()> {
    let host = Host::start().await?;
    let (alice, _bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    alice.invite(BOB).await?;
    let bound = json!({ "invites_of_device": 1 });
    let (status, body) = host.admin.ask_tenant(Method::PUT, "limits", Some(&bound)).await?;
    assert!(status.is_success(), "{body}");
    assert_eq!(refused(&explain(&host, BOB).await?), Vec::<&Value>::new());

    let invite = alice.invite_of(&alice.prepare(&open()).await?, &[BOB])?;
    let told = until("the refusal", async || {
        Ok(in_time("the answer", alice.client.invite(&invite)).await?.err().map(|told| told.to_string()))
    })
    .await?;
    assert!(told.contains("rate-limited"), "{told}");

    for about in [BOB, ALICE] {
        let known = explain(&host, about).await?;
        let [last] = refused(&known)[..] else { panic!("one refusal: {known:#}") };
        assert_eq!((&last["code"], &last["device"]), (&json!("rate-limited"), &json!(alice.device())));
        assert!(!last.to_string().contains(about), "identifiers are masked");
    }
    let found = findings(&explain(&host, BOB).await?);
    assert!(found.iter().any(|it| it.contains("refused") && it.contains("rate-limited")), "{found:?}");
    let other = host.admin.at("other");
    other.create_tenant().await?;
    assert_eq!(refused(&other.get("explain?about=%2B15550101").await?), Vec::<&Value>::new());
    Ok(())
}

#[tokio::test]
async fn an_identifier_that_nobody_has_is_told_from_one_whose_device_is_away() -> Result<()> {
    let host = Host::start().await?;
    let (alice, bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let device = bob.device().clone();

    assert_eq!(
        findings(&explain(&host, "+15550177").await?),
        ["no device is registered for this identifier"]
    );
    assert_eq!(findings(&explain(&host, BOB).await?), ["nobody has invited it since yesterday"]);

    let _gone = bob.leave().await;
    alice.invite(BOB).await?;
    let away = [
        format!("{device}: it has no connection now"),
        format!("{device}: the ring waits in its mailbox: the device has no connection"),
    ];
    until("the device is away", async || {
        let known = explain(&host, BOB).await?;
        let waits = known.pointer("/devices/0/waiting") == Some(&1.into());
        Ok((findings(&known) == away && waits).then_some(()))
    })
    .await
}

/// Proof of silence: the device that has not confirmed is named, and no longer when it has.
#[tokio::test]
async fn a_device_that_has_not_confirmed_its_stop_is_named_until_it_has() -> Result<()> {
    let host = Host::start().await?;
    let (alice, mut phone) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let mut tablet = host.device("tablet", BOB).await?;
    tablet.hold_bell();
    let status = alice.invite(BOB).await?;
    let (rung, _) = (phone.expect_invite().await?, tablet.expect_invite().await?);
    host.admin.leg_is(&status.session, tablet.device(), "rang").await?;
    phone.accept(&rung).await??;
    assert_eq!(tablet.expect_cancel(&status.session).await?, StopReason::AnsweredElsewhere);

    let named = format!("{}: it has not said that it stopped", tablet.device());
    assert!(findings(&explain(&host, status.session.as_str()).await?).contains(&named));

    tablet.let_go();
    host.admin.leg_is(&status.session, tablet.device(), "stop-confirmed").await?;
    assert!(!findings(&explain(&host, status.session.as_str()).await?).contains(&named));
    Ok(())
}

#[tokio::test]
async fn the_command_says_it_in_words() -> Result<()> {
    let host = Host::start().await?;
    let (mut alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let status = alice.invite(BOB).await?;
    bob.expect_invite().await?;
    rings(&mut alice).await?;

    let mut command = Command::new(env!("CARGO_BIN_EXE_switchhook-under-test"));
    command.args(["explain", BOB]).env_remove("SWITCHHOOK_TOKEN");
    command.env("SWITCHHOOK_SERVER", format!("http://{}", host.addresses().http));
    let output = command.env("SWITCHHOOK_DATA", host.data()).output().await?;

    let words = String::from_utf8(output.stdout)?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for expected in
        ["phone", "online", status.session.as_str(), "1 of 1 devices rang", "invited", "invite-router"]
    {
        assert!(words.contains(expected), "{expected} is not in\n{words}");
    }
    assert!(!words.contains('\u{1b}'), "a pipe gets no colours");
    Ok(())
}

/// Another tenant's session is nobody's business.
#[tokio::test]
async fn a_session_of_another_tenant_is_not_explained() -> Result<()> {
    let host = Host::start().await?;
    let (alice, _bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let status = alice.invite(BOB).await?;
    let other = host.admin.at("other");
    other.create_tenant().await?;

    let known = other.get(&format!("explain?about={}", status.session)).await?;

    assert_eq!(findings(&known), ["no device is registered for this identifier"]);
    assert_eq!(known.pointer("/sessions"), Some(&Value::Array(vec![])));
    Ok(())
}

/// Of another process nothing is in memory: what it knows are rows.
#[tokio::test]
async fn what_plugins_decided_is_known_after_a_restart() -> Result<()> {
    let mut host = Host::start().await?;
    let (alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let status = alice.invite(BOB).await?;
    let rung = bob.expect_invite().await?;
    bob.accept(&rung).await??;
    let before = explain(&host, status.session.as_str()).await?;

    host.restart(async |_| Ok(())).await?;

    let decided = |known: &Value| known.pointer("/sessions/0/decisions").cloned();
    let after = decided(&explain(&host, status.session.as_str()).await?).context("decisions")?;
    assert_eq!(after.as_array().map(Vec::len), Some(2), "the router's and the NAT policy's");
    assert_eq!(Some(after), decided(&before));
    assert_eq!(host.admin.decisions(status.session.as_str()).await?.len(), 0, "another process");
    Ok(())
}

async fn explain(host: &Host, about: &str) -> Result<Value> {
    host.admin.get(&format!("explain?about={}", about.replace('+', "%2B"))).await
}

fn findings(known: &Value) -> Vec<String> {
    let findings = known["findings"].as_array().into_iter().flatten();
    findings.map(|finding| finding.as_str().unwrap_or_default().to_owned()).collect()
}

/// What happened, in order; of a decision, in which slot.
fn line(known: &Value) -> Vec<&str> {
    let line = known.pointer("/sessions/0/line").and_then(Value::as_array);
    let what = line
        .into_iter()
        .flatten()
        .map(|event| event.pointer("/decision/slot").unwrap_or_else(|| &event["what"]));
    what.filter_map(Value::as_str).collect()
}

fn of_devices(known: &Value) -> Vec<&str> {
    line(known).into_iter().filter(|what| !["invite-router", "nat-policy"].contains(what)).collect()
}

fn refused(known: &Value) -> Vec<&Value> {
    known["refused"].as_array().into_iter().flatten().collect()
}

async fn rings(inviter: &mut Phone) -> Result<()> {
    inviter.expect_event("ringing", |event| matches!(event, Event::Ringing(_)).then_some(())).await
}

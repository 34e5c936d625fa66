//! Operations without a socket: one HTTP request each, signed by the device's key (INV-16).

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use switchhook_client::identity::Identity;
use switchhook_protocol::{
    call::{Operation, Sync},
    event::{Event, Rung},
    invitation::{Cancel, Decline, Ringing, Stopped},
    session::{Change, End, SessionUpdate},
};
use switchhook_tests::{
    host::Host,
    phone::{Phone, open},
    python::Python,
    signed::{Signer, with},
    waiting::until,
};

const ALICE: &str = "+15550100";
const BOB: &str = "+15550101";

/// INV-16.request
#[tokio::test]
async fn inv_16_a_call_from_invite_to_end_without_a_socket_of_the_caller() -> Result<()> {
    let Some(python) = Python::of("inv_16_a_call_from_invite_to_end") else { return Ok(()) };
    let host = Host::start().await?;
    let (alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let invite = alice.invite_of(&alice.prepare(&open()).await?, &[BOB])?;
    let (settings, identity) = alice.leave().await;
    let signer = Signer::new(&python, host.addresses().http, "default", &identity)?;

    let cancelled = signer.ask(&invite).await?;
    let rung = bob.expect_invite().await?;
    assert_eq!(rung.session, cancelled.session);
    signer.ask(&Cancel { ticket: cancelled.ticket }).await?;
    bob.expect_cancel(&cancelled.session).await?;

    let status = signer.ask(&invite).await?;
    let rung = bob.expect_invite().await?;
    bob.accept(&rung).await??;
    let snapshot = signer.ask(&Sync {}).await?;
    assert!(snapshot.sessions.iter().any(|session| session.session == status.session && session.takes_part));

    // The ticket of the accept waits in the mailbox until there is a socket.
    let mut alice = Phone::connect(settings, identity).await?;
    let ticket = alice.expect_accept(&status.session).await?.ticket;
    alice.leave().await;
    signer
        .ask(&SessionUpdate { ticket: ticket.clone(), data: json!({ "muted": true }), idempotency_key: None })
        .await?;
    signer.ask(&End { ticket, reason: "hung-up".to_owned() }).await?;
    let ended = |event: &Event| {
        let Event::SessionUpdate(changed) = event else { return None };
        matches!(&changed.change, Change::Ended { reason } if reason == "hung-up").then_some(())
    };
    bob.expect_event("the end", ended).await
}

/// INV-16.request
#[tokio::test]
async fn inv_16_a_device_that_was_rung_answers_without_a_socket() -> Result<()> {
    let Some(python) = Python::of("inv_16_a_device_that_was_rung_answers") else { return Ok(()) };
    let host = Host::start().await?;
    let mut alice = host.phone(ALICE).await?;
    let bob = host.phone(BOB).await?;
    let prepared = bob.prepare(&open()).await?;
    let (_, identity) = bob.leave().await;
    let signer = Signer::new(&python, host.addresses().http, "default", &identity)?;

    let declined = alice.invite(BOB).await?;
    let rung = rung(&host, &identity).await?;
    signer.ask(&Ringing { ticket: rung.ticket.clone() }).await?;
    signer.ask(&Decline { ticket: rung.ticket.clone(), reason: "busy".to_owned() }).await?;
    signer.ask(&Stopped { ticket: rung.ticket }).await?;
    alice.expect_outcome(&declined.session).await?;

    let status = alice.invite(BOB).await?;
    let rung = self::rung(&host, &identity).await?;
    let accepted = signer.ask(&Phone::accept_of(&prepared, &rung)).await?;
    assert_eq!(accepted.session, status.session);
    alice.expect_accept(&status.session).await?;
    Ok(())
}

/// A body that fits no operation tells those that are there from those that are not.
/// INV-16.request
#[tokio::test]
async fn inv_16_every_operation_of_the_socket_is_a_request_too() -> Result<()> {
    let Some(python) = Python::of("inv_16_every_operation_of_the_socket") else { return Ok(()) };
    let host = Host::start().await?;
    let (_, identity) = host.stranger().await?.leave().await;
    let signer = Signer::new(&python, host.addresses().http, "default", &identity)?;
    let ops = Operation::OPS.iter().chain(&["teleport"]);
    let asked: Vec<Value> = ops.clone().map(|op| signer.request(op, &json!([]))).collect::<Result<_>>()?;

    let answers = signer.send(&asked).await?;

    for (op, answer) in ops.zip(answers) {
        let expected = match *op {
            "teleport" => (404, "unsupported"),
            // Their bodies have no field that must be there: a list is one.
            "sync" | "register.list" | "push-token.renew" | "carriers" => (200, ""),
            _ => (400, "malformed"),
        };
        assert_eq!((answer.status, answer.code()), expected, "{op}: {answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn inv_16_both_digests_and_more_covered_parts_count() -> Result<()> {
    let Some(python) = Python::of("inv_16_both_digests_and_more_covered_parts") else { return Ok(()) };
    let host = Host::start().await?;
    let (_, identity) = host.stranger().await?.leave().await;
    let signer = Signer::new(&python, host.addresses().http, "default", &identity)?;
    let sync = signer.request("sync", &json!({}))?;
    let covered = json!({ "covered": ["content-digest", "@request-target", "@query", "@path", "@method", "@authority"] });

    let answers =
        signer.send(&[with(sync.clone(), &json!({ "digest": "sha-512" })), with(sync, &covered)]).await?;

    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    Ok(())
}

/// INV-11: who takes part is alive while it asks, by whatever way.
#[tokio::test]
async fn inv_16_a_participant_that_asks_without_a_socket_is_not_taken_for_lost() -> Result<()> {
    let Some(python) = Python::of("inv_16_a_participant_that_asks_without_a_socket") else { return Ok(()) };
    let host = Host::with(|settings| settings.sessions.lost_after_s = 10).await?;
    let (alice, mut bob, mut carol) =
        (host.phone(ALICE).await?, host.phone(BOB).await?, host.phone("+15550102").await?);
    let invite = alice.invite_of(&alice.prepare(&open()).await?, &[BOB, "+15550102"])?;
    let status = alice.client.invite(&invite).await?;
    for other in [&mut bob, &mut carol] {
        let rung = other.expect_invite().await?;
        other.accept(&rung).await??;
    }
    let (_, identity) = alice.leave().await;
    let signer = Signer::new(&python, host.addresses().http, "default", &identity)?;
    bob.leave().await;

    let left = until("Bob's loss", async || {
        signer.ask(&Sync {}).await?;
        let session = host.admin.session(&status.session).await?;
        let participants = session.get("participants").and_then(Value::as_array).context("participants")?;
        Ok((participants.len() < 3).then(|| participants.clone()))
    })
    .await?;

    let devices: Vec<&str> = left.iter().filter_map(|it| it.get("device")?.as_str()).collect();
    assert_eq!(devices.len(), 2, "{left:?}");
    assert!(devices.contains(&identity.device.as_str()), "{left:?}");
    Ok(())
}

/// The next ring of a device, whose socket is there for it alone.
async fn rung(host: &Host, identity: &Identity) -> Result<Rung> {
    let mut phone = Phone::connect(host.client_settings("phone")?, identity.clone()).await?;
    let rung = phone.expect_invite().await?;
    phone.leave().await;
    Ok(rung)
}

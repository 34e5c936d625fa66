//! Invites in a name that is not one's own, tickets that are not one's own, acks of what was not sent.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use switchhook_protocol::{error::ErrorCode, invitation::Accept};
use switchhook_tests::{
    host::{Host, tenant},
    phone::{Phone, open, refusal},
    raw::{Raw, hello},
    waiting::in_time,
};

use crate::{ALICE, BOB, others, published};

#[tokio::test]
async fn inv_1_an_identifier_that_is_not_the_inviters_own_is_refused() -> Result<()> {
    let (host, alice, mut bob) = stage().await?;
    let before = host.stored().await?;
    let mine = alice.invite_of(&alice.prepare(&open()).await?, &[BOB])?;
    for from in [BOB, "+15550199", "alice"] {
        let mut invite = mine.clone();
        invite.from = from.parse()?;
        let answer = in_time("the answer", alice.client.invite(&invite)).await?;
        assert_eq!(refusal(answer)?, ErrorCode::NotYourIdentifier);
    }
    assert_eq!(host.stored().await?, before);

    let status = in_time("the invite", alice.client.invite(&mine)).await??;
    assert_eq!(bob.expect_invite().await?.session, status.session, "the first that rings is the good one");
    Ok(())
}

#[tokio::test]
async fn inv_1_a_session_key_of_another_device_is_refused() -> Result<()> {
    let (host, alice, mut bob) = stage().await?;
    let mut invite = alice.invite_of(&alice.prepare(&open()).await?, &[BOB])?;
    let before = host.stored().await?;
    let own = invite.session_key.clone();

    invite.session_key = bob.prepare(&open()).await?.session_key().clone();
    let answer = in_time("the answer", alice.client.invite(&invite)).await?;

    assert_eq!(refusal(answer)?, ErrorCode::Unauthorized);
    assert_eq!(host.stored().await?, before);
    invite.session_key = own;
    in_time("the invite", alice.client.invite(&invite)).await??;
    bob.expect_invite().await?;
    Ok(())
}

#[tokio::test]
async fn inv_11_a_ticket_that_was_changed_or_is_another_devices_opens_nothing() -> Result<()> {
    let Ringing { host, alice, mut raw, rung, inviters } = Ringing::start().await?;
    let ticket = text(&rung, "/body/ticket")?;
    let before = host.stored().await?;

    for wrong in broken(&ticket).into_iter().chain([inviters]) {
        for op in ["ringing", "decline", "stopped", "cancel", "relay.request", "path-report"] {
            let body = json!({ "ticket": wrong, "reason": "busy", "path": "direct", "took_ms": 1 });
            let answer = raw.request(op, body).await?;
            assert_eq!(published(&answer), Some(ErrorCode::BadTicket), "{op} {wrong}");
        }
        for live in ["signal", "presence"] {
            raw.say(json!({ "type": live, "ticket": wrong, "to": "a", "data": 1 }).to_string()).await?;
            assert_eq!(published(&raw.message().await?), Some(ErrorCode::BadTicket), "{live} {wrong}");
        }
    }
    for wrong in others(&ticket) {
        let answer = raw.request("decline", json!({ "ticket": wrong, "reason": "busy" })).await?;
        assert_eq!(published(&answer), Some(ErrorCode::BadTicket), "{wrong}");
    }
    // The inviter has no more of the invited's.
    let accept = accept(&alice, &ticket, &rung).await?;
    let answer = in_time("the answer", alice.client.accept(&accept)).await?;
    assert_eq!(refusal(answer)?, ErrorCode::BadTicket);

    assert_eq!(host.stored().await?, before);
    assert!(raw.serves().await?);
    assert!(raw.request("decline", json!({ "ticket": ticket, "reason": "busy" })).await?.get("ok").is_some());
    Ok(())
}

#[tokio::test]
async fn inv_11_a_ticket_gives_no_more_than_its_own_place() -> Result<()> {
    let Ringing { host, mut raw, rung, .. } = Ringing::start().await?;
    let ticket = text(&rung, "/body/ticket")?;
    let before = host.stored().await?;

    // The invited takes nothing back, and has no relay before it was taken.
    for (op, code) in [
        ("cancel", ErrorCode::WrongRole),
        ("relay.request", ErrorCode::NotRunning),
        ("invite-update", ErrorCode::NotRunning),
    ] {
        let answer = raw.request(op, json!({ "ticket": ticket })).await?;
        assert_eq!(published(&answer), Some(code), "{op}");
    }
    let end = json!({ "ticket": ticket, "reason": "hung-up" });
    assert_eq!(published(&raw.request("end", end).await?), Some(ErrorCode::NotRunning));
    // An alias is no ticket, and a ticket is no alias.
    let alias = text(&rung, "/body/inviter/alias")?;
    let answer = raw.request("decline", json!({ "ticket": alias, "reason": "busy" })).await?;
    assert_eq!(published(&answer), Some(ErrorCode::BadTicket));
    for live in ["signal", "presence"] {
        raw.say(json!({ "type": live, "ticket": ticket, "to": ticket, "data": 1 }).to_string()).await?;
        assert_eq!(published(&raw.message().await?), Some(ErrorCode::BadTicket), "{live}");
        let large = json!({ "type": live, "ticket": ticket, "to": ticket, "data": "x".repeat(16 * 1024) });
        raw.say(large.to_string()).await?;
        assert_eq!(published(&raw.message().await?), Some(ErrorCode::TooLarge), "{live}");
    }

    assert_eq!(host.stored().await?, before);
    assert!(raw.serves().await?);
    Ok(())
}

#[tokio::test]
async fn an_ack_of_what_was_not_given_out_is_refused_and_loses_nothing() -> Result<()> {
    let (host, alice, bob) = stage().await?;
    let (_, identity) = bob.leave().await;
    let tenant = tenant("default")?;
    let mut raw = Raw::welcomed(host.addresses().http, &tenant, &identity).await?;
    for seq in [1, 1_000, u64::MAX] {
        raw.say(json!({ "type": "ack", "seq": seq }).to_string()).await?;
        assert_eq!(raw.message().await?["code"], "malformed", "{seq}");
        assert!(raw.serves().await?, "{seq}");
    }

    let session = alice.invite(BOB).await?.session;
    let rung = raw.message().await?;
    assert_eq!(text(&rung, "/body/session")?, session.as_str());
    for ack in [json!({ "seq": rung["seq"], "epoch": "of-before" }), json!({ "seq": 1_000 })] {
        let mut said = ack;
        said["type"] = json!("ack");
        raw.say(said.to_string()).await?;
    }
    assert_eq!(raw.message().await?["code"], "malformed");

    // Nor does a cursor of the future: the mailbox begins at its oldest message.
    let mut again = Raw::connect(host.addresses().http, "default").await?;
    let mut said = hello(&again.challenge().await?, &tenant, &identity)?;
    said["cursor"] = json!({ "epoch": rung["epoch"], "seq": 1_000 });
    again.say(said.to_string()).await?;
    assert_eq!(again.message().await?["resumed"], "none");
    let redelivered = again.message().await?;
    assert_eq!(redelivered["message_id"], rung["message_id"]);
    Ok(())
}

/// Alice's invite at a socket of Bob's that says whatever a test wants.
struct Ringing {
    host: Host,
    alice: Phone,
    raw: Raw,
    rung: Value,
    /// The inviter's ticket.
    inviters: String,
}

impl Ringing {
    async fn start() -> Result<Self> {
        let (host, alice, bob) = stage().await?;
        let (_, identity) = bob.leave().await;
        let mut raw = Raw::welcomed(host.addresses().http, &tenant("default")?, &identity).await?;
        let inviters = alice.invite(BOB).await?.ticket;
        let rung = raw.message().await?;
        assert_eq!(rung["kind"], "invite");
        Ok(Self { host, alice, raw, rung, inviters })
    }
}

async fn stage() -> Result<(Host, Phone, Phone)> {
    let host = Host::start().await?;
    let (alice, bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    Ok((host, alice, bob))
}

/// The accept of somebody who holds no more than the ticket.
async fn accept(phone: &Phone, ticket: &str, rung: &Value) -> Result<Accept> {
    let prepared = phone.prepare(&open()).await?;
    Ok(Accept {
        ticket: ticket.to_owned(),
        inviter_connection_data: text(rung, "/body/inviter_connection_data")?,
        connection_data: prepared.connection_data().clone(),
        session_key: prepared.session_key().clone(),
        retry: false,
    })
}

/// A sealed text cut, gone, longer, or another altogether.
fn broken(sealed: &str) -> Vec<String> {
    let half = sealed.chars().take(sealed.len() / 2).collect();
    vec![String::new(), "ticket".to_owned(), half, format!("{sealed}AA"), format!("{sealed}=")]
}

fn text(message: &Value, pointer: &str) -> Result<String> {
    let text = message.pointer(pointer).and_then(Value::as_str);
    Ok(text.with_context(|| format!("no {pointer}"))?.to_owned())
}

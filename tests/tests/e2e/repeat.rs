//! Requests that a client sends again, since it cannot know whether they arrived.

use anyhow::Result;
use serde_json::json;
use switchhook_protocol::{
    error::ErrorCode,
    event::Event,
    invitation::Invite,
    session::{Change, SessionUpdate},
};
use switchhook_server::DEFAULT_TENANT;
use switchhook_tests::{
    front::Front,
    host::{Host, client_settings},
    phone::{Phone, open, refusal},
    waiting::in_time,
};

use crate::three::{ALICE, BOB};

#[tokio::test]
async fn an_invite_that_is_sent_again_rings_once_and_is_answered_alike() -> Result<()> {
    let mut host = Host::start().await?;
    let (alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let invite = invite(&alice, "ring-1").await?;
    let first = in_time("the invite", alice.client.invite(&invite)).await??;
    bob.expect_invite().await?;

    // The answer was lost, and so was the process.
    let (settings, identity) = alice.leave().await;
    host.restart(async |_| Ok(())).await?;
    let alice = Phone::connect(settings, identity).await?;
    let again = in_time("the invite", alice.client.invite(&invite)).await??;

    assert_eq!(again, first);
    assert_eq!(host.stored().await?.get("sessions"), Some(&1));
    let another = Invite { purpose: "video".to_owned(), ..invite.clone() };
    let refused = in_time("the refusal", alice.client.invite(&another)).await?;
    assert_eq!(refusal(refused)?, ErrorCode::Conflict);
    let new = Invite { idempotency_key: Some("ring-2".parse()?), ..invite };
    assert_ne!(in_time("the invite", alice.client.invite(&new)).await??.session, first.session);
    Ok(())
}

#[tokio::test]
async fn a_key_is_its_devices_own() -> Result<()> {
    let host = Host::start().await?;
    let (alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let carol = host.phone("+15550102").await?;

    let first = in_time("the invite", alice.client.invite(&invite(&alice, "same").await?)).await??;
    let second = in_time("the invite", carol.client.invite(&invite(&carol, "same").await?)).await??;

    assert_eq!(bob.expect_invite().await?.session, first.session);
    assert_eq!(bob.expect_invite().await?.session, second.session);
    Ok(())
}

#[tokio::test]
async fn inv_8_an_update_that_is_sent_again_is_told_once() -> Result<()> {
    let host = Host::start().await?;
    let (mut alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    alice.invite(BOB).await?;
    let rung = bob.expect_invite().await?;
    let accepted = bob.accept(&rung).await??;
    alice.expect_accept(&accepted.session).await?;
    let update = |word: &str| SessionUpdate {
        ticket: accepted.ticket.clone(),
        data: json!({ "word": word }),
        idempotency_key: word.parse().ok(),
    };

    for word in ["one", "one", "two"] {
        in_time("the update", bob.client.session_update(&update(word))).await??;
    }

    for word in ["one", "two"] {
        assert_eq!(told(&mut alice).await?, Change::Told { data: json!({ "word": word }) });
    }
    Ok(())
}

/// The client does so by itself.
#[tokio::test]
async fn an_invite_whose_answer_is_lost_with_the_connection_is_answered_and_rings_once() -> Result<()> {
    let host = Host::start().await?;
    let (front, alice) = behind_a_front(&host, host.phone(ALICE).await?).await?;
    let mut bob = host.phone(BOB).await?;
    front.lose_next_answer();

    let status = alice.invite(BOB).await?;

    assert!(front.has_lost(), "the first answer was lost");
    assert_eq!(bob.expect_invite().await?.session, status.session);
    assert_eq!(host.stored().await?.get("sessions"), Some(&1));
    Ok(())
}

#[tokio::test]
async fn inv_8_an_update_whose_answer_is_lost_with_the_connection_is_told_once() -> Result<()> {
    let host = Host::start().await?;
    let mut alice = host.phone(ALICE).await?;
    let (front, mut bob) = behind_a_front(&host, host.phone(BOB).await?).await?;
    alice.invite(BOB).await?;
    let rung = bob.expect_invite().await?;
    let accepted = bob.accept(&rung).await??;
    alice.expect_accept(&accepted.session).await?;
    let update = |word: &str| SessionUpdate {
        ticket: accepted.ticket.clone(),
        data: json!({ "word": word }),
        idempotency_key: None,
    };

    front.lose_next_answer();
    in_time("the update", bob.client.session_update(&update("one"))).await??;
    assert!(front.has_lost(), "the first answer was lost");
    in_time("the update", bob.client.session_update(&update("two"))).await??;

    for word in ["one", "two"] {
        assert_eq!(told(&mut alice).await?, Change::Told { data: json!({ "word": word }) });
    }
    Ok(())
}

/// The phone comes back behind a balancer that can break its connection.
async fn behind_a_front(host: &Host, phone: Phone) -> Result<(Front, Phone)> {
    let front = Front::of(host.addresses().http).await?;
    let number = phone.number.clone();
    let (_, identity) = phone.leave().await;
    let settings = client_settings(front.addr, DEFAULT_TENANT, "phone")?;
    let mut phone = Phone::connect(settings, identity).await?;
    phone.number = number;
    Ok((front, phone))
}

async fn told(phone: &mut Phone) -> Result<Change> {
    phone
        .expect_event("an update", |event| {
            let Event::SessionUpdate(changed) = event else { return None };
            Some(changed.change.clone())
        })
        .await
}

async fn invite(phone: &Phone, key: &str) -> Result<Invite> {
    let invite = phone.invite_of(&phone.prepare(&open()).await?, &[BOB])?;
    Ok(Invite { idempotency_key: Some(key.parse()?), ..invite })
}

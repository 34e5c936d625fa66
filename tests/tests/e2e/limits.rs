//! How much devices may do: the operator's bounds, a tenant's own below them, and what whoever is over one is told.

use anyhow::Result;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use switchhook_protocol::{
    error::ErrorCode,
    relay::{RelayRequest, RelayUpdate},
    session::SessionUpdate,
};
use switchhook_tests::{
    host::Host,
    phone::{refusal, refused_invite},
    waiting::in_time,
};

use crate::three::{ALICE, BOB};

const CAROL: &str = "+15550102";

#[tokio::test]
async fn an_inviter_over_its_bound_is_told_how_long_to_wait_and_its_neighbour_is_not_held_up() -> Result<()> {
    let host = Host::with(|settings| settings.limits.invites_of_pair = 2).await?;
    let (alice, carol) = (host.phone(ALICE).await?, host.phone(CAROL).await?);
    let mut bob = host.phone(BOB).await?;
    for _ in 0..2 {
        alice.invite(BOB).await?;
        bob.expect_invite().await?;
    }

    let refused = refused_invite(&alice, BOB).await?;

    assert_eq!(refused.code, ErrorCode::RateLimited);
    let wait = refused.retry_after_ms.unwrap();
    assert!((1..=30_000).contains(&wait), "{wait} ms for one of two a minute");
    assert_eq!(host.stored().await?.get("sessions"), Some(&2), "nothing is stored");
    let status = carol.invite(BOB).await?;
    assert_eq!(bob.expect_invite().await?.session, status.session);
    alice.invite(CAROL).await?;
    Ok(())
}

/// The answer does not depend on who is there to be rung.
#[tokio::test]
async fn whoever_rings_nobody_on_and_on_is_held_back_alike() -> Result<()> {
    let host = Host::with(|settings| settings.limits.invites_of_pair = 1).await?;
    let alice = host.phone(ALICE).await?;
    assert_eq!(refused_invite(&alice, BOB).await?.code, ErrorCode::NoneRegistered);
    assert_eq!(refused_invite(&alice, BOB).await?.code, ErrorCode::RateLimited);
    Ok(())
}

#[tokio::test]
async fn a_tenant_sets_its_own_bounds_below_the_operators() -> Result<()> {
    let host = Host::with(|settings| settings.limits.fan_out = 2).await?;
    let (alice, _phone) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let _tablet = host.device("tablet", BOB).await?;
    assert_eq!(alice.invite(BOB).await?.devices.len(), 2);

    put(&host, &json!({ "fan_out": 1 }), StatusCode::NO_CONTENT).await?;
    assert_eq!(refused_invite(&alice, BOB).await?.code, ErrorCode::TooLarge);
    let shown = host.admin.get("limits").await?;
    assert_eq!((&shown["own"], &shown["most"]["fan_out"]), (&json!({ "fan_out": 1 }), &json!(2)));
    assert_eq!(shown["in_force"]["fan_out"], json!(1));

    let above = put(&host, &json!({ "fan_out": 3 }), StatusCode::FORBIDDEN).await?;
    assert_eq!(above["detail"], json!("fan_out is at most 2, by the operator's settings"));
    put(&host, &json!({ "fan_in": 3 }), StatusCode::BAD_REQUEST).await?;
    assert_eq!(
        host.admin.get("limits").await?["in_force"]["fan_out"],
        json!(1),
        "what is refused changes nothing"
    );

    put(&host, &json!({}), StatusCode::NO_CONTENT).await?;
    alice.invite(BOB).await?;
    Ok(())
}

/// One row of settings, read at the start.
#[tokio::test]
async fn a_tenants_bounds_outlive_the_process() -> Result<()> {
    let mut host = Host::start().await?;
    put(&host, &json!({ "invites_of_device": 7 }), StatusCode::NO_CONTENT).await?;

    host.restart(async |_| Ok(())).await?;

    assert_eq!(host.admin.get("limits").await?["in_force"]["invites_of_device"], json!(7));
    Ok(())
}

/// Each update goes to the mailboxes of many.
#[tokio::test]
async fn a_participant_that_updates_on_and_on_is_held_back() -> Result<()> {
    let host = Host::with(|settings| settings.limits.updates_of_device = 1).await?;
    let (mut alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    alice.invite(BOB).await?;
    let rung = bob.expect_invite().await?;
    let accepted = bob.accept(&rung).await??;
    alice.expect_accept(&accepted.session).await?;
    let update =
        SessionUpdate { ticket: accepted.ticket, data: json!({ "muted": true }), idempotency_key: None };

    in_time("the update", bob.client.session_update(&update)).await??;

    assert_eq!(
        refusal(in_time("the update", bob.client.session_update(&update)).await?)?,
        ErrorCode::RateLimited
    );
    Ok(())
}

/// Each is a transaction, and goes to the mailbox of the other side.
#[tokio::test]
async fn rel_4_a_participant_that_asks_for_the_relay_on_and_on_is_held_back() -> Result<()> {
    let host = Host::with(|settings| settings.limits.updates_of_device = 1).await?;
    let (mut alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    alice.invite(BOB).await?;
    let rung = bob.expect_invite().await?;
    let his = bob.accept(&rung).await??;
    let hers = alice.expect_accept(&his.session).await?;
    let request = RelayRequest { ticket: his.ticket };
    let relayed = "192.0.2.10:49170".parse()?;
    let update = RelayUpdate { ticket: hers.ticket, relayed, observed: relayed };

    in_time("the relay", bob.client.relay_request(&request)).await??;
    in_time("the update", alice.client.relay_update(&update)).await??;

    let again = in_time("the relay", bob.client.relay_request(&request)).await?;
    assert_eq!(refusal(again)?, ErrorCode::RateLimited);
    let again = in_time("the update", alice.client.relay_update(&update)).await?;
    assert_eq!(refusal(again)?, ErrorCode::RateLimited);
    Ok(())
}

async fn put(host: &Host, own: &Value, expected: StatusCode) -> Result<Value> {
    let (status, body) = host.admin.ask_tenant(Method::PUT, "limits", Some(own)).await?;
    assert_eq!(status, expected, "{body}");
    Ok(body)
}

//! Who may ring whom: each user's block list, the tenant's own list, and what an outsider can learn.

use anyhow::{Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use switchhook_client::CallError;
use switchhook_protocol::{
    block::{Block, Blocked, Unblock},
    error::ErrorCode,
};
use switchhook_tests::{
    host::Host,
    phone::{Phone, open, refusal, refused_invite},
    waiting::in_time,
};
use tokio::process::Command;

use crate::three::{ALICE, BOB};

const CAROL: &str = "+15550102";
const NOBODY: &str = "+15550109";

#[tokio::test]
async fn who_is_blocked_is_told_what_is_told_of_somebody_who_does_not_exist() -> Result<()> {
    let host = Host::start().await?;
    let (alice, carol) = (host.phone(ALICE).await?, host.phone(CAROL).await?);
    let mut bob = host.phone(BOB).await?;
    let unknown = refused_invite(&alice, NOBODY).await?;
    assert_eq!(unknown.code, ErrorCode::NoneRegistered);

    block(&bob, ALICE).await??;
    block(&bob, ALICE).await??;

    assert_eq!(refused_invite(&alice, BOB).await?, unknown);
    assert_eq!(host.stored().await?.get("sessions"), Some(&0), "nothing is stored");
    let invite = alice.invite_of(&alice.prepare(&open()).await?, &[BOB, CAROL])?;
    let status = in_time("the invite", alice.client.invite(&invite)).await??;
    assert_eq!(status.not_registered, [BOB.parse()?]);
    let status = carol.invite(BOB).await?;
    assert_eq!(bob.expect_invite().await?.session, status.session, "others ring on");

    let unblock = Unblock { endpoint: BOB.parse()?, who: ALICE.parse()? };
    in_time("the answer", bob.client.unblock(&unblock)).await??;
    let status = alice.invite(BOB).await?;
    assert_eq!(bob.expect_invite().await?.session, status.session);
    Ok(())
}

#[tokio::test]
async fn a_block_list_belongs_to_its_identifier_and_to_whoever_has_it() -> Result<()> {
    let host = Host::start().await?;
    let (alice, bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let tablet = host.device("tablet", BOB).await?;

    block(&bob, ALICE).await??;

    let of_bob = Blocked { endpoint: BOB.parse()? };
    let listed = in_time("the list", tablet.client.blocked(&of_bob)).await??;
    assert_eq!(listed.who, [ALICE.parse()?], "another device of the same user");
    let foreign = in_time("the refusal", alice.client.blocked(&of_bob)).await?;
    assert_eq!(refusal(foreign)?, ErrorCode::NotYourIdentifier);
    let foreign = Block { endpoint: BOB.parse()?, who: CAROL.parse()? };
    let refused = in_time("the refusal", alice.client.block(&foreign)).await?;
    assert_eq!(refusal(refused)?, ErrorCode::NotYourIdentifier);
    Ok(())
}

#[tokio::test]
async fn whoever_is_not_on_the_tenants_list_cannot_tell_who_exists() -> Result<()> {
    let host = Host::start().await?;
    let (alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let carol = host.phone(CAROL).await?;

    put(&host, &json!([{ "from": CAROL, "to": "+1555*" }]), StatusCode::NO_CONTENT).await?;

    let existing = refused_invite(&alice, BOB).await?;
    assert_eq!(existing, refused_invite(&alice, NOBODY).await?);
    let status = carol.invite(BOB).await?;
    assert_eq!(bob.expect_invite().await?.session, status.session);
    assert_eq!(refused_invite(&carol, NOBODY).await?.code, ErrorCode::NoneRegistered);

    put(&host, &json!([{ "from": "not an identifier", "to": "*" }]), StatusCode::BAD_REQUEST).await?;
    assert_eq!(host.admin.get("may-ring").await?, json!([{ "from": CAROL, "to": "+1555*" }]));
    put(&host, &json!([]), StatusCode::NO_CONTENT).await?;
    let status = alice.invite(BOB).await?;
    assert_eq!(bob.expect_invite().await?.session, status.session);
    Ok(())
}

#[tokio::test]
async fn the_command_changes_the_tenants_list() -> Result<()> {
    let host = Host::start().await?;
    let (alice, mut bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    assert_eq!(may_ring(&host, &[]).await?, json!([]));

    let added = may_ring(&host, &["--add", CAROL, "+1555*", "--add", "*", "desk"]).await?;

    assert_eq!(added, json!([{ "from": CAROL, "to": "+1555*" }, { "from": "*", "to": "desk" }]));
    assert_eq!(host.admin.get("may-ring").await?, added);
    assert_eq!(refused_invite(&alice, BOB).await?.code, ErrorCode::NoneRegistered);
    assert_eq!(may_ring(&host, &["--clear"]).await?, json!([]));
    let status = alice.invite(BOB).await?;
    assert_eq!(bob.expect_invite().await?.session, status.session);
    Ok(())
}

#[tokio::test]
async fn of_two_administrators_who_change_the_list_at_once_the_second_is_told() -> Result<()> {
    let host = Host::start().await?;
    let (one, other) = (json!([{ "from": CAROL, "to": "*" }]), json!([{ "from": ALICE, "to": "*" }]));
    for (path, one, other) in
        [("may-ring", one, other), ("limits", json!({ "fan_out": 1 }), json!({ "fan_out": 2 }))]
    {
        let read = host.admin.tag(path).await?;
        let (status, body) = host.admin.replace(path, &read, &one).await?;
        assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
        let shown = host.admin.get(path).await?;

        let (status, body) = host.admin.replace(path, &read, &other).await?;

        assert_eq!((status, &body["code"]), (StatusCode::PRECONDITION_FAILED, &json!("changed")));
        assert_eq!(host.admin.get(path).await?, shown);
        let (status, body) = host.admin.replace(path, &host.admin.tag(path).await?, &other).await?;
        assert_eq!(status, StatusCode::NO_CONTENT, "{body}");
    }
    Ok(())
}

async fn may_ring(host: &Host, changes: &[&str]) -> Result<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchhook-under-test"));
    command.args(["tenant", "may-ring", "default", "--json"]).args(changes);
    command.env_remove("SWITCHHOOK_TOKEN").env("SWITCHHOOK_DATA", host.data());
    command.env("SWITCHHOOK_SERVER", format!("http://{}", host.addresses().http));
    let output = command.output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

async fn block(own: &Phone, who: &str) -> Result<Result<(), CallError>> {
    let block = Block { endpoint: own.number.clone().unwrap(), who: who.parse()? };
    Ok(in_time("the answer", own.client.block(&block)).await?.map(|_| ()))
}

async fn put(host: &Host, rules: &Value, expected: StatusCode) -> Result<()> {
    let (status, body) = host.admin.ask_tenant(Method::PUT, "may-ring", Some(rules)).await?;
    assert_eq!(status, expected, "{body}");
    Ok(())
}

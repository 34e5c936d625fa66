//! Each node has a relay of its own; a call may go through any of them.

use std::{net::Ipv4Addr, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use switchhook_client::{
    call::{Call, Side},
    network::nat::SymmetricNat,
};
use switchhook_protocol::{call::PathKind, invitation::Accepted, peer::Path};
use switchhook_tests::{
    phone::{Net, Phone},
    waiting::{in_time, until},
};

use crate::stage::{NODES, Stage};

const ALICE: &str = "+15550100";
const BOB: &str = "+15550101";

/// REL-1.one-host, REL-2, INV-11.nodes: neither side is at the node whose relay has room, and both are sent there.
#[tokio::test]
async fn rel_1_a_call_goes_through_the_relay_of_whichever_node_has_room() -> Result<()> {
    let name = "rel_1_a_call_goes_through_the_relay_of_whichever_node_has_room";
    let Some(stage) = Stage::start(name).await? else { return Ok(()) };
    let hosts = all_know_each_other(&stage).await?;
    let (chosen, others) = hosts.split_last().context("no relay hosts")?;
    for host in others {
        drain(&stage, host).await?;
    }
    let (mut alice, mut bob) = (stage.phone(ALICE, 0).await?, stage.phone(BOB, 1).await?);

    let hers = alice.phone.prepare(&nat()).await?;
    let invite = alice.phone.invite_of(&hers, &[BOB])?;
    let status = in_time("the invite", alice.phone.client.invite(&invite)).await??;
    let rung = bob.phone.expect_invite().await?;
    let his = bob.phone.prepare(&nat()).await?;
    let accept = Phone::accept_of(&his, &rung);
    let answer = in_time("the accept", bob.phone.rings.accept(&rung, &accept)).await??;
    let pushed = alice.phone.expect_accept(&status.session).await?;
    for told in [&pushed, &answer] {
        assert_eq!(relay_of(told)?, main_of(chosen)?);
    }

    let caller = Call::start(&alice.phone.client, nat(), hers, Side::Inviter, pushed);
    let callee = Call::start(&bob.phone.client, nat(), his, Side::Callee, answer);
    let (caller, callee) = in_time("the path", async { tokio::join!(caller, callee) }).await?;
    let (caller, mut callee) = (caller?, callee?);
    assert_eq!((caller.path(), callee.path()), (Some(PathKind::Relay), Some(PathKind::Relay)));
    caller.send(b"hello")?;
    assert_eq!(in_time("a datagram", callee.recv()).await?.as_deref(), Some(&b"hello"[..]));
    Ok(())
}

/// As any node shows them, when each knows all others.
async fn all_know_each_other(stage: &Stage) -> Result<Vec<Value>> {
    until("every node's relay host", async || {
        let (_, body) = stage.node(0)?.admin.ask(Method::GET, "relay-hosts", None).await?;
        let hosts = body.get("relay_hosts").and_then(Value::as_array).cloned().unwrap_or_default();
        let is_ready = |host: &Value| {
            host.get("built_in") == Some(&json!(true))
                && host.get("state") == Some(&json!("alive"))
                && host.get("knows_others") == Some(&json!(true))
        };
        Ok((hosts.len() == NODES && hosts.iter().all(is_ready)).then_some(hosts))
    })
    .await
}

async fn drain(stage: &Stage, host: &Value) -> Result<()> {
    let id = host.get("host").and_then(Value::as_str).context("no id")?;
    let (path, body) = (format!("relay-hosts/{id}/drain"), json!({ "drain": true }));
    let (status, body) = stage.node(1)?.admin.ask(Method::PUT, &path, Some(&body)).await?;
    ensure!(status.is_success(), "{status} {body}");
    Ok(())
}

fn main_of(host: &Value) -> Result<String> {
    let main = host.pointer("/addresses/main").and_then(Value::as_str);
    main.map(str::to_owned).context("no address")
}

fn relay_of(accepted: &Accepted) -> Result<String> {
    let Path::Relay { relay, .. } = &accepted.path else {
        anyhow::bail!("not the relay: {:?}", accepted.path)
    };
    Ok(relay.server.to_string())
}

fn nat() -> Net {
    Arc::new(SymmetricNat::new(Ipv4Addr::LOCALHOST.into()))
}

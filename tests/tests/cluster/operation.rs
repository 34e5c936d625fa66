//! What an operator does with nodes: changes plugins, makes tenants, restarts one after the other.

use std::{collections::BTreeSet, pin::pin};

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use reqwest::Method;
use serde_json::{Value, json};
use switchhook_protocol::{event::Event, id::SessionId, invitation::Invite};
use switchhook_tests::{
    host::{Transit, client_settings, tenant},
    phone::{Phone, open},
    waiting::{in_time, until},
};
use tokio_util::sync::CancellationToken;

use crate::stage::{NODES, Somebody, Stage};

const ALICE: &str = "+15550100";
const BOB: &str = "+15550101";
/// What a transit shares with the host.
const SECRET: &str = "a secret that is long enough for a transit";
const ROUTER: &str = "invite-router/route-ring-all";

/// PLUG-1
#[tokio::test]
async fn plug_1_what_is_activated_at_one_node_is_asked_at_every_other() -> Result<()> {
    let name = "plug_1_what_is_activated_at_one_node_is_asked_at_every_other";
    let Some(stage) = Stage::start(name).await? else { return Ok(()) };
    let (alice, _bob) = (stage.phone(ALICE, 1).await?, stage.phone(BOB, 2).await?);
    let invited = alice.phone.invite(BOB).await?;
    assert_eq!(router_of(&stage, &invited.session).await?, "route-ring-all");

    // Changed at one node, asked at another.
    stage.node(0)?.admin.changed(ROUTER, "deactivate", &json!({ "mode": "drain" })).await?;
    until("the declared default", async || {
        let invited = alice.phone.invite(BOB).await?;
        Ok(router_of(&stage, &invited.session).await?.is_empty().then_some(()))
    })
    .await?;
    stage.node(2)?.admin.changed(ROUTER, "activate", &json!({ "version": 1 })).await?;
    until("the plugin again", async || {
        let invited = alice.phone.invite(BOB).await?;
        Ok((router_of(&stage, &invited.session).await? == "route-ring-all").then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_tenant_that_one_node_made_is_served_by_every_other_at_once() -> Result<()> {
    let name = "a_tenant_that_one_node_made_is_served_by_every_other_at_once";
    let Some(stage) = Stage::start(name).await? else { return Ok(()) };
    for round in 0..3 {
        let new = format!("new-{round}");
        stage.node(0)?.admin.at(&new).create_tenant().await?;
        let transit = Transit::start(stage.node(2)?.process.http, &tenant(&new)?, SECRET).await?;
        stage.node(1)?.admin.at(&new).put_gateway(&transit.send_url, SECRET).await?;
        // By the tenant's own method: the declared default is to refuse.
        let mut phone = Phone::enrol(client_settings(stage.node(2)?.process.http, &new, "phone")?).await?;
        phone.register(&transit.carrier, &BOB.parse()?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn what_a_tenant_has_set_is_shown_by_every_node_as_it_is_stored() -> Result<()> {
    let name = "what_a_tenant_has_set_is_shown_by_every_node_as_it_is_stored";
    let Some(stage) = Stage::start(name).await? else { return Ok(()) };
    for fan_out in 1..9 {
        let node = |number: usize| stage.node(number % NODES);
        let limits = json!({ "fan_out": fan_out });
        let rules = json!([{ "from": "*", "to": format!("desk-{fan_out}") }]);
        for (path, set) in [("limits", &limits), ("may-ring", &rules)] {
            let (status, body) = node(fan_out)?.admin.ask_tenant(Method::PUT, path, Some(set)).await?;
            assert!(status.is_success(), "{body}");
        }
        let shown = node(fan_out + 1)?.admin.get("limits").await?;
        assert_eq!(shown.get("own"), Some(&limits));
        assert_eq!(shown.pointer("/in_force/fan_out"), limits.get("fan_out"));
        assert_eq!(node(fan_out + 2)?.admin.get("may-ring").await?, rules);
    }
    Ok(())
}

/// Nothing of a refusal is stored: the nodes tell each other, and whoever does not is named.
#[tokio::test]
async fn why_an_invite_was_refused_at_one_node_any_other_explains_or_says_which_did_not_answer() -> Result<()>
{
    let name = "why_an_invite_was_refused_at_one_node_any_other_explains_or_says_which_did_not_answer";
    let Some(stage) = Stage::start(name).await? else { return Ok(()) };
    let alice = stage.phone(ALICE, 0).await?;
    let invite = alice.phone.invite_of(&alice.phone.prepare(&open()).await?, &[BOB])?;
    let as_bob = Invite { from: BOB.parse()?, invited: vec![ALICE.parse()?], ..invite };
    in_time("the answer", alice.phone.client.invite(&as_bob)).await?.unwrap_err();

    for node in 0..NODES {
        // Interest in the nodes' subjects may still be on its way from one server of the bus to another.
        let known = until("all nodes' answers", async || {
            let known = explained(&stage, node).await?;
            Ok((known["silent_nodes"] == json!([])).then_some(known))
        })
        .await?;
        let told = known.pointer("/refused/0/device").and_then(Value::as_str);
        assert_eq!(told, Some(alice.phone.device().as_str()), "{known:#}");
        assert!(!findings(&known).contains("did not answer"), "{known:#}");
        let other = stage.node(node)?.admin.at("other");
        if node == 0 {
            other.create_tenant().await?;
        }
        assert_eq!(other.get("explain?about=%2B15550101").await?["refused"], json!([]));
    }

    // Frozen for too long it is dead, and none of the nodes: until it is back.
    let (frozen, asked) = (&stage.node(0)?.process, 1);
    let known = until("the silence of a node that has a row", async || {
        frozen.freeze()?;
        let known = explained(&stage, asked).await;
        frozen.thaw()?;
        let known = known?;
        Ok((known["silent_nodes"] != json!([])).then_some(known))
    })
    .await?;
    assert_eq!(known["refused"], json!([]));
    assert!(findings(&known).contains("did not answer: which invites it refused"), "{known:#}");
    Ok(())
}

async fn explained(stage: &Stage, node: usize) -> Result<Value> {
    stage.node(node)?.admin.get("explain?about=%2B15550101").await
}

fn findings(known: &Value) -> String {
    known["findings"].to_string()
}

#[tokio::test]
async fn a_node_with_keys_of_its_own_is_refused() -> Result<()> {
    let Some(stage) = Stage::start("a_node_with_keys_of_its_own_is_refused").await? else { return Ok(()) };
    let refused = stage.foreign_node().await.err().context("it started")?;
    assert!(refused.to_string().contains("root.keys is not of this installation"), "{refused:#}");
    // Those that are there go on.
    let (alice, mut bob) = (stage.phone(ALICE, 0).await?, stage.phone(BOB, 1).await?);
    let invited = alice.phone.invite(BOB).await?;
    assert_eq!(bob.phone.expect_invite().await?.session, invited.session);
    Ok(())
}

/// The balancer still points at the node that has gone.
#[tokio::test]
async fn a_node_that_leaves_sends_its_clients_to_one_that_stays() -> Result<()> {
    let name = "a_node_that_leaves_sends_its_clients_to_one_that_stays";
    let Some(mut stage) = Stage::start(name).await? else { return Ok(()) };
    let (alice, mut bob) = (stage.phone(ALICE, 1).await?, stage.phone(BOB, 0).await?);

    stage.node(0)?.process.terminate()?;
    stage.nodes.get_mut(0).context("no such node")?.process.ended().await?;

    let invited = alice.phone.invite(BOB).await?;
    rings(&mut bob, &invited.session).await
}

/// Each caller invites without a pause, and nothing but the client library asks again: whoever is refused, or has no
/// answer, or rings nobody is a failure.
#[tokio::test]
async fn a_restart_of_one_node_after_the_other_fails_no_invite() -> Result<()> {
    let name = "a_restart_of_one_node_after_the_other_fails_no_invite";
    let Some(mut stage) = Stage::start(name).await? else { return Ok(()) };
    let (mut callers, mut invites) = (Vec::new(), Vec::new());
    for caller in 0..2 * NODES {
        let somebody = stage.phone(&format!("+155502{caller:02}"), caller % NODES).await?;
        invites.push(somebody.phone.invite_of(&somebody.phone.prepare(&open()).await?, &[BOB])?);
        callers.push(somebody);
    }
    let mut bob = stage.phone(BOB, 2).await?;
    for node in 0..NODES {
        // A balancer looks whether a node is ready, and sends new connections to another.
        let next = (node + 1) % NODES;
        for somebody in callers.iter_mut().chain([&mut bob]).filter(|it| it.node == node) {
            somebody.front.prefer(stage.node(next)?.process.http);
            somebody.node = next;
        }
        let back = CancellationToken::new();
        stage.node(node)?.process.terminate()?;
        let restarting = async {
            stage.nodes.get_mut(node).context("no such node")?.process.ended().await?;
            stage.start_again(node).await?;
            back.cancel();
            anyhow::Ok(())
        };
        let inviting = callers.iter_mut().zip(&invites).map(|(caller, it)| invite_until(&back, caller, it));
        let (rung, ((), invited)) =
            rung_while(&mut bob, async { tokio::try_join!(restarting, try_join_all(inviting)) }).await?;
        for session in invited.iter().flatten().filter(|session| !rung.contains(session)) {
            rings(&mut bob, session).await?;
        }
    }
    Ok(())
}

/// Invites on and on, and once more after the node is back.
async fn invite_until(
    back: &CancellationToken,
    caller: &mut Somebody,
    invite: &Invite,
) -> Result<Vec<SessionId>> {
    let mut sessions = Vec::new();
    loop {
        let last = back.is_cancelled();
        sessions.push(in_time("the answer", caller.phone.client.invite(invite)).await??.session);
        caller.phone.drain();
        if last {
            return Ok(sessions);
        }
    }
}

/// What rings while something is done, and what that comes to.
async fn rung_while<T>(
    bob: &mut Somebody,
    work: impl Future<Output = Result<T>>,
) -> Result<(BTreeSet<SessionId>, T)> {
    let (mut rung, mut work) = (BTreeSet::new(), pin!(work));
    loop {
        tokio::select! {
            done = &mut work => return Ok((rung, done?)),
            ring = bob.phone.expect_invite() => drop(rung.insert(ring?.session)),
        }
    }
}

async fn rings(bob: &mut Somebody, session: &SessionId) -> Result<()> {
    let of_session = |event: &Event| {
        let Event::Invite(rung) = event else { return None };
        (rung.session == *session).then_some(())
    };
    bob.phone.expect_event("the ring", of_session).await
}

/// The router that decided about a session, asked of the node that asked it.
async fn router_of(stage: &Stage, session: &SessionId) -> Result<String> {
    let decisions = stage.node(1)?.admin.get(&format!("decisions?subject={session}")).await?;
    let decision = decisions.as_array().into_iter().flatten().find(|it| it["slot"] == "invite-router");
    let plugin = decision.and_then(|it| it.get("plugin")).and_then(Value::as_str);
    Ok(plugin.context("the router was not asked")?.to_owned())
}

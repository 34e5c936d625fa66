//! Everybody is at another node.

use anyhow::Result;
use serde_json::{Value, json};
use switchhook_client::ClientEvent;
use switchhook_protocol::{
    client::Signal,
    close::CloseCode,
    event::Event,
    id::{DeviceId, SessionId},
    invitation::StopReason,
    session::{Change, End},
};
use switchhook_server::DEFAULT_TENANT;
use switchhook_tests::{
    host::client_settings,
    phone::Phone,
    waiting::{in_time, until},
};

use crate::stage::Stage;

const ALICE: &str = "+15550100";
const BOB: &str = "+15550101";

/// INV-11.nodes
#[tokio::test]
async fn inv_11_a_call_is_carried_by_whichever_nodes_its_devices_are_at() -> Result<()> {
    let name = "inv_11_a_call_is_carried_by_whichever_nodes_its_devices_are_at";
    let Some(stage) = Stage::start(name).await? else { return Ok(()) };
    let (mut alice, mut bob) = (stage.phone(ALICE, 0).await?, stage.phone(BOB, 1).await?);
    let mut tablet = stage.device("tablet", BOB, 2).await?;

    let status = alice.phone.invite(BOB).await?;
    let (rung, _) = (bob.phone.expect_invite().await?, tablet.phone.expect_invite().await?);
    let (taken, lost) = tokio::join!(bob.phone.accept(&rung), tablet.phone.expect_cancel(&status.session));
    assert_eq!(lost?, StopReason::AnsweredElsewhere);
    let (bobs, alices) = (taken??, alice.phone.expect_accept(&status.session).await?);
    assert_eq!(alices.media_key, bobs.media_key);
    decided_at_every_node(&stage, &status.session).await?;

    // Live messages find the other's node, both ways.
    say(&alice.phone, (&alices.ticket, &alices.peer.alias), "candidate of Alice").await?;
    assert_eq!(heard(&mut bob.phone).await?, "candidate of Alice");
    say(&bob.phone, (&bobs.ticket, &bobs.peer.alias), "candidate of Bob").await?;
    assert_eq!(heard(&mut alice.phone).await?, "candidate of Bob");

    // And so does what they say of their presence.
    let away = Signal { ticket: bobs.ticket.clone(), to: bobs.peer.alias.clone(), data: json!("away") };
    in_time("the presence", bob.phone.client.presence(away)).await??;
    let presence = |event: &ClientEvent| {
        let ClientEvent::Presence(presence) = event else { return None };
        Some(presence.data.clone())
    };
    assert_eq!(alice.phone.expect("the presence", presence).await?, json!("away"));

    let end = End { ticket: bobs.ticket, reason: "hung-up".to_owned() };
    in_time("the end", bob.phone.client.end(&end)).await??;
    let ended = |event: &Event| {
        let Event::SessionUpdate(changed) = event else { return None };
        matches!(changed.change, Change::Ended { .. }).then_some(())
    };
    alice.phone.expect_event("the end", ended).await?;
    tablet.phone.expect_event("the end", ended).await
}

#[tokio::test]
async fn who_is_online_is_known_at_every_node() -> Result<()> {
    let Some(stage) = Stage::start("who_is_online_is_known_at_every_node").await? else { return Ok(()) };
    let (bob, tablet) = (stage.phone(BOB, 1).await?, stage.device("tablet", BOB, 2).await?);
    let away = tablet.phone.device().clone();
    tablet.phone.leave().await;

    // Asked of a node that has neither: it takes a while until every part of the bus knows who has come and gone.
    let here = bob.phone.device().clone();
    let node = stage.node(0)?;
    until("what every node knows of who is online", async || {
        let known = node.admin.get("explain?about=%2B15550101").await?;
        let are_online = (is_online(&known, &here), is_online(&known, &away));
        Ok((are_online == (Some(true), Some(false))).then_some(()))
    })
    .await
}

/// Whether the device has a connection, as `explain` says.
fn is_online(explained: &Value, device: &DeviceId) -> Option<bool> {
    let devices = explained.get("devices")?.as_array()?;
    let device = devices.iter().find(|it| it.get("device") == Some(&json!(device)))?;
    device.get("online")?.as_bool()
}

#[tokio::test]
async fn a_second_connection_at_another_node_takes_the_place_of_the_first() -> Result<()> {
    let name = "a_second_connection_at_another_node_takes_the_place_of_the_first";
    let Some(stage) = Stage::start(name).await? else { return Ok(()) };
    let mut first = stage.phone(BOB, 1).await?;
    let settings = client_settings(stage.node(2)?.process.http, DEFAULT_TENANT, "phone")?;
    let second = Phone::connect(settings, first.phone.identity.clone()).await?;

    let replaced = |event: &ClientEvent| {
        let ClientEvent::Ended(finished) = event else { return None };
        Some(finished.clone())
    };
    let ended = first.phone.expect("the end of the first", replaced).await?;
    assert_eq!(ended.code, CloseCode::Replaced.row().code, "{ended:?}");
    assert_eq!(second.registrations().await?, [BOB.parse()?]);
    Ok(())
}

/// One node asked the router, another the NAT policy; all know what they said.
async fn decided_at_every_node(stage: &Stage, session: &SessionId) -> Result<()> {
    for node in &stage.nodes {
        let known = node.admin.get(&format!("explain?about={session}")).await?;
        let decisions = known.pointer("/sessions/0/decisions").and_then(Value::as_array);
        let slots: Vec<_> = decisions.into_iter().flatten().filter_map(|it| it.get("slot")).collect();
        assert_eq!(slots, [&json!("invite-router"), &json!("nat-policy")], "{known:#}");
    }
    Ok(())
}

async fn say(from: &Phone, (ticket, to): (&str, &str), text: &str) -> Result<()> {
    let signal = Signal { ticket: ticket.to_owned(), to: to.to_owned(), data: json!(text) };
    Ok(in_time("the signal", from.client.signal(signal)).await??)
}

async fn heard(by: &mut Phone) -> Result<String> {
    let text = |event: &ClientEvent| {
        let ClientEvent::Signal(signal) = event else { return None };
        signal.data.as_str().map(str::to_owned)
    };
    by.expect("a signal", text).await
}

//! Nodes and servers die and freeze in the middle of what they do.

use std::{env, time::Duration};

use anyhow::{Context as _, Result};
use switchhook_protocol::invitation::UserOutcome;
use switchhook_tests::{host::registration_text, phone::Phone, waiting::until};

use crate::{
    flows::{Flow, at_each_place, undisturbed},
    people::{ALICE, BOB, Blow, People},
    stage::{NODES, Stage},
};

/// INV-11.nodes
#[tokio::test]
async fn inv_11_a_call_goes_on_when_a_node_is_killed_between_any_two_of_its_messages() -> Result<()> {
    let name = "inv_11_a_call_goes_on_when_a_node_is_killed_between_any_two_of_its_messages";
    Box::pin(at_each_place(name, &[Flow::Call], |place| vec![(place % NODES, Blow::Kill)])).await
}

/// INV-11.nodes
#[tokio::test]
async fn inv_11_a_call_goes_on_when_a_node_freezes_between_any_two_of_its_messages() -> Result<()> {
    let name = "inv_11_a_call_goes_on_when_a_node_freezes_between_any_two_of_its_messages";
    Box::pin(at_each_place(name, &[Flow::Call], |place| vec![(place % NODES, Blow::Freeze)])).await
}

/// INV-4, INV-6.choose, INV-11.nodes, INV-17
#[tokio::test]
async fn inv_11_whatever_rings_goes_on_when_a_node_dies_or_freezes_between_any_two_messages() -> Result<()> {
    let name = "inv_11_whatever_rings_goes_on_when_a_node_dies_or_freezes_between_any_two_messages";
    let flows = [Flow::Cancel, Flow::Decline, Flow::Forward, Flow::Choose, Flow::NoAnswer];
    Box::pin(at_each_place(name, &flows, hows)).await
}

/// INV-8, INV-11.nodes, NAT-4
#[tokio::test]
async fn inv_11_whatever_runs_goes_on_when_a_node_dies_or_freezes_between_any_two_messages() -> Result<()> {
    let name = "inv_11_whatever_runs_goes_on_when_a_node_dies_or_freezes_between_any_two_messages";
    Box::pin(at_each_place(name, &[Flow::Tell, Flow::Relay, Flow::Leave], hows)).await
}

/// Each node and each blow has its turns; `cargo xtask soak` has every node struck both ways at each place.
fn hows(place: usize) -> Vec<(usize, Blow)> {
    let blow = |place: usize| if place.is_multiple_of(2) { Blow::Kill } else { Blow::Freeze };
    if env::var_os("SWITCHHOOK_EVERY_DEATH").is_none() {
        return vec![(place % NODES, blow(place))];
    }
    (0..2 * NODES).map(|how| (how % NODES, blow(how / NODES))).collect()
}

#[tokio::test]
async fn a_call_goes_on_when_servers_of_the_bus_die_and_freeze() -> Result<()> {
    let name = "a_call_goes_on_when_servers_of_the_bus_die_and_freeze";
    let Some(mut stage) = Stage::start(name).await? else { return Ok(()) };
    let mut people = People::meet(&stage).await?;
    stage.bus.kill(0);
    undisturbed(&mut stage, &mut people).await.context("one is dead")?;
    stage.bus.server(0).freeze();
    undisturbed(&mut stage, &mut people).await.context("one is frozen")?;
    stage.bus.kill(1);
    undisturbed(&mut stage, &mut people).await.context("none is left")
}

/// INV-4, INV-11.nodes
#[tokio::test]
async fn inv_4_the_ring_time_ends_although_the_node_that_began_it_is_dead_and_nobody_is_awake() -> Result<()>
{
    let name = "inv_4_the_ring_time_ends_although_the_node_that_began_it_is_dead_and_nobody_is_awake";
    let Some(mut stage) = Stage::start(name).await? else { return Ok(()) };
    let admin = stage.node(1)?.admin.clone();
    let (alice, bob) = (stage.phone(ALICE, 0).await?, stage.phone(BOB, 0).await?);
    let status = alice.phone.invite(BOB).await?;
    let (settings, identity) = alice.phone.leave().await;
    bob.phone.leave().await;
    stage.nodes.first_mut().context("no node")?.process.kill().await?;
    stage.is_later(Duration::from_millis(status.ring_ms))?;

    until("the end of the ring time", async || {
        Ok((admin.invitation_state(&status.session).await? == "no-answer").then_some(()))
    })
    .await?;

    // Whoever comes back hears of it, at another node.
    alice.front.point_at(stage.node(2)?.process.http);
    let mut alice = Phone::connect(settings, identity).await?;
    assert_eq!(alice.expect_outcome(&status.session).await?.outcome, UserOutcome::NoAnswer);
    Ok(())
}

/// REG-3
#[tokio::test]
async fn a_text_that_a_dead_node_was_sending_is_reported_in_doubt_by_another() -> Result<()> {
    let name = "a_text_that_a_dead_node_was_sending_is_reported_in_doubt_by_another";
    let Some(mut stage) = Stage::start(name).await? else { return Ok(()) };
    let alice = stage.stranger("phone", 1).await?;
    for node in &mut stage.nodes {
        node.process.arm("effect.send-text.before").await?;
    }
    let text = registration_text(&alice.phone.identity);
    stage.transit.carrier.text(&ALICE.parse()?, &text).await?;

    // Whoever claimed it is gone; the two others live, and one of them says so.
    let mut alive = stage.nodes.iter();
    let in_doubt = until("the doubt", async || {
        let Some(node) = alive.next() else {
            alive = stage.nodes.iter();
            return Ok(None);
        };
        // One of them is dead, and does not answer.
        let Ok(texts) = node.admin.in_doubt().await else { return Ok(None) };
        Ok((!texts.is_empty()).then_some(texts))
    })
    .await?;
    assert_eq!(in_doubt.len(), 1);
    assert_eq!(stage.transit.count(&ALICE.parse()?), 0);
    Ok(())
}

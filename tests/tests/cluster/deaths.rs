//! Nodes and servers die and freeze in the middle of what they do.

use anyhow::{Context as _, Result};
use reqwest::StatusCode;
use serde_json::json;
use switchhook_protocol::{
    event::Event,
    invitation::{StopReason, UserOutcome},
    session::{Change, End},
};
use switchhook_tests::{
    host::registration_text,
    phone::{Phone, open},
    waiting::until,
};

use crate::stage::{NODES, Somebody, Stage};

const ALICE: &str = "+15550100";
const BOB: &str = "+15550101";

/// What befalls a node.
#[derive(Debug, Clone, Copy)]
enum Blow {
    /// It ends at once.
    Kill,
    /// It stops without a word.
    Freeze,
}

/// Before which message of a call.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    Invite,
    Ring,
    Accept,
    Accepted,
    End,
    Ended,
}

const MOMENTS: [Moment; 6] =
    [Moment::Invite, Moment::Ring, Moment::Accept, Moment::Accepted, Moment::End, Moment::Ended];

/// Alice at one node, Bob's two devices at the others.
struct People {
    alice: Somebody,
    bob: Somebody,
    tablet: Somebody,
}

/// INV-11.nodes
#[tokio::test]
async fn inv_11_a_call_goes_on_when_a_node_is_killed_between_any_two_of_its_messages() -> Result<()> {
    let name = "inv_11_a_call_goes_on_when_a_node_is_killed_between_any_two_of_its_messages";
    between_any_two_messages(name, Blow::Kill).await
}

/// INV-11.nodes
#[tokio::test]
async fn inv_11_a_call_goes_on_when_a_node_freezes_between_any_two_of_its_messages() -> Result<()> {
    let name = "inv_11_a_call_goes_on_when_a_node_freezes_between_any_two_of_its_messages";
    between_any_two_messages(name, Blow::Freeze).await
}

async fn between_any_two_messages(name: &str, blow: Blow) -> Result<()> {
    let Some(mut stage) = Stage::start(name).await? else { return Ok(()) };
    let mut people = People::meet(&stage).await?;
    for (count, moment) in MOMENTS.into_iter().enumerate() {
        // Each node has its turns.
        let struck = count % NODES;
        let called = people.call(&mut stage, moment, (struck, blow)).await;
        called.with_context(|| format!("{blow:?} of node {struck}, {moment:?}"))?;
        people.recover(&mut stage, (struck, blow)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_call_goes_on_when_servers_of_the_bus_die_and_freeze() -> Result<()> {
    let name = "a_call_goes_on_when_servers_of_the_bus_die_and_freeze";
    let Some(mut stage) = Stage::start(name).await? else { return Ok(()) };
    let mut people = People::meet(&stage).await?;
    stage.bus.kill(0);
    people.undisturbed(&mut stage).await.context("one is dead")?;
    stage.bus.server(0).freeze();
    people.undisturbed(&mut stage).await.context("one is frozen")?;
    stage.bus.kill(1);
    people.undisturbed(&mut stage).await.context("none is left")
}

/// INV-4, INV-11.nodes
#[tokio::test]
async fn inv_4_the_ring_time_ends_although_the_node_that_began_it_is_dead_and_nobody_is_awake() -> Result<()>
{
    let name = "inv_4_the_ring_time_ends_although_the_node_that_began_it_is_dead_and_nobody_is_awake";
    let Some(mut stage) = Stage::start(name).await? else { return Ok(()) };
    let shorter = json!({ "ring_time_seconds": 2 });
    let admin = stage.node(1)?.admin.clone();
    let (status, _) = admin.configure("invite-router/route-ring-all", &shorter).await?;
    assert_eq!(status, StatusCode::OK);
    let (alice, bob) = (stage.phone(ALICE, 0).await?, stage.phone(BOB, 0).await?);
    let status = alice.phone.invite(BOB).await?;
    let (settings, identity) = alice.phone.leave().await;
    bob.phone.leave().await;
    stage.nodes.first_mut().context("no node")?.process.kill().await?;

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

impl People {
    async fn meet(stage: &Stage) -> Result<Self> {
        let (alice, bob) = (stage.phone(ALICE, 0).await?, stage.phone(BOB, 1).await?);
        Ok(Self { alice, bob, tablet: stage.device("tablet", BOB, 2).await? })
    }

    fn each(&mut self) -> [&mut Somebody; 3] {
        [&mut self.alice, &mut self.bob, &mut self.tablet]
    }

    async fn undisturbed(&mut self, stage: &mut Stage) -> Result<()> {
        self.call_with(stage, async |_, _, _| Ok(())).await
    }

    async fn call(&mut self, stage: &mut Stage, when: Moment, how: (usize, Blow)) -> Result<()> {
        self.call_with(
            stage,
            async |people, stage, moment| {
                if moment == when { people.strike(stage, how).await } else { Ok(()) }
            },
        )
        .await
    }

    /// A call from invite to end, with something between its messages.
    async fn call_with(
        &mut self,
        stage: &mut Stage,
        between: impl AsyncFn(&mut Self, &mut Stage, Moment) -> Result<()>,
    ) -> Result<()> {
        between(self, stage, Moment::Invite).await?;
        let prepare = async |phone: &Phone| phone.invite_of(&phone.prepare(&open()).await?, &[BOB]);
        let status = self
            .alice
            .insist("the invite", async |phone| Ok(phone.client.invite(&prepare(phone).await?).await))
            .await?;
        between(self, stage, Moment::Ring).await?;
        let of_this = |event: &Event| {
            let Event::Invite(rung) = event else { return None };
            (rung.session == status.session).then(|| rung.clone())
        };
        let rung = self.bob.phone.expect_event("the ring", of_this).await?;
        between(self, stage, Moment::Accept).await?;
        let bobs = self.bob.insist("the accept", async |phone| phone.accept(&rung).await).await?;
        between(self, stage, Moment::Accepted).await?;
        let alices = self.alice.phone.expect_accept(&status.session).await?;
        assert_eq!(alices.media_key, bobs.media_key);
        let stopped = self.tablet.phone.expect_cancel(&status.session).await?;
        assert_eq!(stopped, StopReason::AnsweredElsewhere);
        between(self, stage, Moment::End).await?;
        let end = End { ticket: alices.ticket, reason: "hung-up".to_owned() };
        self.alice.insist("the end", async |phone| Ok(phone.client.end(&end).await)).await?;
        between(self, stage, Moment::Ended).await?;
        let ended = |event: &Event| {
            let Event::SessionUpdate(changed) = event else { return None };
            let of_this = changed.session == status.session;
            (of_this && matches!(changed.change, Change::Ended { .. })).then_some(())
        };
        self.bob.phone.expect_event("the end", ended).await
    }

    async fn strike(&mut self, stage: &mut Stage, (node, blow): (usize, Blow)) -> Result<()> {
        let struck = stage.nodes.get_mut(node).context("no such node")?;
        match blow {
            Blow::Kill => struck.process.kill().await?,
            Blow::Freeze => struck.process.freeze()?,
        }
        let next = (node + 1) % NODES;
        for somebody in self.each() {
            if somebody.node == node {
                somebody.point_at(next, stage.node(next)?);
            }
        }
        Ok(())
    }

    /// The node comes back, and everybody goes where they were.
    async fn recover(&mut self, stage: &mut Stage, (node, blow): (usize, Blow)) -> Result<()> {
        match blow {
            Blow::Kill => stage.start_again(node).await?,
            Blow::Freeze => stage.node(node)?.process.thaw()?,
        }
        for (home, somebody) in self.each().into_iter().enumerate() {
            if somebody.node != home {
                somebody.point_at(home, stage.node(home)?);
            }
        }
        Ok(())
    }
}

//! Every flow over the nodes, message by message: any node may be struck between any two of them.
//!
//! A flow says where two messages follow each other ([`Cut::between`]). Played once undisturbed it says how many such
//! places there are; then it is played once for each, and there a node is struck. It is to come to the same end every
//! time, on the nodes that are left.

mod router;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use switchhook_protocol::{
    event::Event,
    id::SessionId,
    invitation::{Cancel, StopReason, Take, TakeMode, UserOutcome},
    relay::{RelayRequest, RelayUpdate},
    session::Change,
};
use switchhook_tests::waiting::until;

use self::router::{FORWARD, HUNT, WAVES};
use crate::{
    people::{BOB, Blow, CAROL, People},
    stage::{NODES, Stage},
};

/// What people do with each other.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Flow {
    /// From invite to end.
    Call,
    /// The inviter takes its invite back.
    Cancel,
    /// The phone declines, the router is asked again, the tablet is rung and accepts.
    Decline,
    /// Bob declines, and the invite goes on to Carol, who accepts.
    Forward,
    /// Both of Bob's devices accept, and the inviter takes the second.
    Choose,
    /// One wave after the other rings, and nobody answers.
    NoAnswer,
    /// Who takes part tells the others something.
    Tell,
    /// The direct path fails, and both go on by the relay.
    Relay,
    /// Of three, one leaves, and the others go on.
    Leave,
}

/// Where in a flow a node is struck, and which.
pub(crate) struct Cut<'a> {
    stage: &'a mut Stage,
    strike: Option<Strike>,
    passed: usize,
}

#[derive(Debug, Clone, Copy)]
struct Strike {
    place: usize,
    how: (usize, Blow),
}

/// Strikes a node at each place of each of these flows; `hows` says, for the so-maniest place, which nodes and how.
pub(crate) async fn at_each_place(
    name: &str,
    flows: &[Flow],
    hows: impl Fn(usize) -> Vec<(usize, Blow)>,
) -> Result<()> {
    let Some(mut stage) = Stage::routed_by(name, router::start().await?).await? else { return Ok(()) };
    let mut people = People::meet(&stage).await?;
    let mut places = 0;
    for flow in flows {
        let mut undisturbed = Cut::new(&mut stage, None);
        let played = Box::pin(flow.play(&mut people, &mut undisturbed)).await;
        played.with_context(|| format!("{flow:?}, undisturbed"))?;
        let own = undisturbed.passed;
        ensure!(own > 0, "{flow:?} has no two messages");
        for place in 0..own {
            for how in hows(places) {
                let mut cut = Cut::new(&mut stage, Some(Strike { place, how }));
                let played = Box::pin(flow.play(&mut people, &mut cut)).await;
                played.with_context(|| format!("{flow:?}: {how:?} at place {place} of {own}"))?;
                people.recover(&mut stage, how).await?;
            }
            places += 1;
        }
    }
    Ok(())
}

/// A call in which no node is struck.
pub(crate) async fn undisturbed(stage: &mut Stage, people: &mut People) -> Result<()> {
    Box::pin(call(people, &mut Cut::new(stage, None))).await
}

impl Flow {
    /// Plays it once.
    async fn play(self, people: &mut People, cut: &mut Cut<'_>) -> Result<()> {
        match self {
            Self::Call => call(people, cut).await,
            Self::Cancel => cancel(people, cut).await,
            Self::Decline => decline(people, cut).await,
            Self::Forward => forward(people, cut).await,
            Self::Choose => choose(people, cut).await,
            Self::NoAnswer => no_answer(people, cut).await,
            Self::Tell => tell(people, cut).await,
            Self::Relay => relay(people, cut).await,
            Self::Leave => leave(people, cut).await,
        }
    }
}

async fn call(people: &mut People, cut: &mut Cut<'_>) -> Result<()> {
    cut.between(people).await?;
    let session = people.invite("audio", TakeMode::First).await?.session;
    cut.between(people).await?;
    let rung = people.bob.ring(&session).await?;
    cut.between(people).await?;
    let bobs = people.bob.accept(&rung).await?;
    cut.between(people).await?;
    let alices = people.alice.phone.expect_accept(&session).await?;
    ensure!(alices.media_key == bobs.media_key);
    ensure!(people.tablet.phone.expect_cancel(&session).await? == StopReason::AnsweredElsewhere);
    cut.between(people).await?;
    people.end(&alices.ticket).await?;
    cut.between(people).await?;
    people.bob.over(&session).await
}

async fn cancel(people: &mut People, cut: &mut Cut<'_>) -> Result<()> {
    let status = people.invite("audio", TakeMode::First).await?;
    cut.between(people).await?;
    people.bob.ring(&status.session).await?;
    cut.between(people).await?;
    let cancel = Cancel { ticket: status.ticket };
    people.alice.insist("the cancel", async |phone| Ok(phone.client.cancel(&cancel).await)).await?;
    cut.between(people).await?;
    for rung in [&mut people.bob, &mut people.tablet] {
        ensure!(rung.phone.expect_cancel(&status.session).await? == StopReason::Cancelled);
    }
    Ok(())
}

async fn decline(people: &mut People, cut: &mut Cut<'_>) -> Result<()> {
    let session = people.invite(HUNT, TakeMode::First).await?.session;
    let rung = people.bob.ring(&session).await?;
    cut.between(people).await?;
    people.bob.decline(&rung).await?;
    cut.between(people).await?;
    let rung = people.tablet.ring(&session).await?;
    let rerouted =
        |event: &Event| matches!(event, Event::Rerouted(it) if it.session == session).then_some(());
    people.alice.phone.expect_event("more devices", rerouted).await?;
    cut.between(people).await?;
    let tablets = people.tablet.accept(&rung).await?;
    cut.between(people).await?;
    let alices = people.alice.phone.expect_accept(&session).await?;
    ensure!(alices.media_key == tablets.media_key);
    people.end(&alices.ticket).await
}

async fn forward(people: &mut People, cut: &mut Cut<'_>) -> Result<()> {
    let session = people.invite(FORWARD, TakeMode::First).await?.session;
    let rung = people.bob.ring(&session).await?;
    people.bob.decline(&rung).await?;
    cut.between(people).await?;
    let rung = people.carol.ring(&session).await?;
    cut.between(people).await?;
    let carols = people.carol.accept(&rung).await?;
    cut.between(people).await?;
    let alices = people.alice.phone.expect_accept(&session).await?;
    ensure!(alices.media_key == carols.media_key && alices.peer.endpoint.reveal() == CAROL);
    people.end(&alices.ticket).await
}

async fn choose(people: &mut People, cut: &mut Cut<'_>) -> Result<()> {
    let session = people.invite("audio", TakeMode::Choose).await?.session;
    let (at_phone, at_tablet) = (people.bob.ring(&session).await?, people.tablet.ring(&session).await?);
    people.bob.accept(&at_phone).await?;
    cut.between(people).await?;
    people.alice.phone.expect_accept(&session).await?;
    cut.between(people).await?;
    people.tablet.accept(&at_tablet).await?;
    cut.between(people).await?;
    let tablets = people.alice.phone.expect_accept(&session).await?;
    cut.between(people).await?;
    let take = Take { tickets: vec![tablets.ticket.clone()] };
    people.alice.insist("the take", async |phone| Ok(phone.client.take(&take).await)).await?;
    cut.between(people).await?;
    let taken = |event: &Event| matches!(event, Event::Taken(it) if it.session == session).then_some(());
    people.tablet.phone.expect_event("taken", taken).await?;
    ensure!(people.bob.phone.expect_cancel(&session).await? == StopReason::AnsweredElsewhere);
    people.end(&tablets.ticket).await
}

async fn no_answer(people: &mut People, cut: &mut Cut<'_>) -> Result<()> {
    let session = people.invite(WAVES, TakeMode::First).await?.session;
    cut.between(people).await?;
    cut.second_wave(&session).await?;
    cut.between(people).await?;
    let outcome = people.alice.phone.expect_outcome(&session).await?.outcome;
    ensure!(outcome == UserOutcome::NoAnswer, "{outcome:?}");
    Ok(())
}

async fn tell(people: &mut People, cut: &mut Cut<'_>) -> Result<()> {
    let (session, alices, _) = people.connect().await?;
    cut.between(people).await?;
    people.alice.tell(&alices.ticket, "video").await?;
    cut.between(people).await?;
    for other in [&mut people.bob, &mut people.tablet] {
        other.told(&session, "video").await?;
    }
    people.end(&alices.ticket).await
}

async fn relay(people: &mut People, cut: &mut Cut<'_>) -> Result<()> {
    let (session, alices, bobs) = people.connect().await?;
    cut.between(people).await?;
    let request = RelayRequest { ticket: bobs.ticket };
    people.bob.insist("the relay", async |phone| Ok(phone.client.relay_request(&request).await)).await?;
    cut.between(people).await?;
    let given =
        |event: &Event| matches!(event, Event::RelayResponse(it) if it.session == session).then_some(());
    people.alice.phone.expect_event("her relay", given).await?;
    cut.between(people).await?;
    let (relayed, observed) = ("192.0.2.10:49170".parse()?, "198.51.100.9:50001".parse()?);
    let update = RelayUpdate { ticket: alices.ticket.clone(), relayed, observed };
    people.alice.insist("the update", async |phone| Ok(phone.client.relay_update(&update).await)).await?;
    cut.between(people).await?;
    let told = |event: &Event| {
        let Event::RelayUpdate(told) = event else { return None };
        (told.session == session).then_some(told.relayed)
    };
    ensure!(people.bob.phone.expect_event("where the relay put her", told).await? == relayed);
    people.end(&alices.ticket).await
}

async fn leave(people: &mut People, cut: &mut Cut<'_>) -> Result<()> {
    let session = people.invite_all(&[BOB, CAROL], "audio", TakeMode::First).await?.session;
    let (to_bob, to_carol) = (people.bob.ring(&session).await?, people.carol.ring(&session).await?);
    people.bob.accept(&to_bob).await?;
    let carols = people.carol.accept(&to_carol).await?;
    for _ in 0..2 {
        people.alice.phone.expect_accept(&session).await?;
    }
    cut.between(people).await?;
    people.carol.end(&carols.ticket).await?;
    cut.between(people).await?;
    let renewed = |change: &Change| match change {
        Change::Left { renewed, .. } => renewed.clone(),
        Change::Told { .. } | Change::Ended { .. } => None,
    };
    let alices = people.alice.change(&session, "a new ticket", renewed).await?;
    let bobs = people.bob.change(&session, "a new ticket", renewed).await?;
    ensure!(alices.media_key == bobs.media_key);
    cut.between(people).await?;
    people.alice.tell(&alices.ticket, "still here").await?;
    people.bob.told(&session, "still here").await?;
    people.end(&alices.ticket).await
}

impl<'a> Cut<'a> {
    const fn new(stage: &'a mut Stage, strike: Option<Strike>) -> Self {
        Self { stage, strike, passed: 0 }
    }

    /// Between two messages.
    async fn between(&mut self, people: &mut People) -> Result<()> {
        let here = self.passed;
        self.passed += 1;
        match self.strike {
            Some(Strike { place, how }) if place == here => people.strike(self.stage, how).await,
            Some(_) | None => Ok(()),
        }
    }

    /// Waits until the second wave rings, as a node shows that is not struck.
    async fn second_wave(&self, session: &SessionId) -> Result<()> {
        let struck = self.strike.map_or(NODES, |strike| strike.how.0);
        let admin = &self.stage.node((struck + 1) % NODES)?.admin;
        until("the second wave", async || {
            let shown = admin.session(session).await?;
            let legs = shown.get("legs").and_then(Value::as_array).context("no legs")?;
            let waits = |leg: &Value| leg.get("state") == Some(&json!("planned"));
            Ok((legs.len() == 2 && !legs.iter().any(waits)).then_some(()))
        })
        .await
    }
}

//! The model test of invitations: random steps on a small reference and on the real thing, side by side.
//!
//! **What happens** ([`step`]): Alice invites one or two people, with `take: first` or `choose`, through one of four routers;
//! devices ring, accept, decline, are busy, stop; the inviter cancels and takes; participants tell and leave; time
//! passes, over waves, ring times and forwards; a device vanishes and comes back; the node dies, between two steps or in the
//! middle of one.
//!
//! **The system** ([`system`]) is a node without sockets: real flows, real decisions, real storage in a file. Only the
//! clock and the router are the test's ([`router`]: both sides ask the same one).
//!
//! **Compared** after each step: the answer, what every device finds in its mailbox, each user's state, each device's
//! leg, who takes part. A step in whose middle the node dies is done or is not done, and nothing between.
//!
//! A run is its seed. A difference says the seed and every step up to it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test: what is missing fails it"
)]

mod people;
mod reference;
mod router;
mod step;
mod system;

use std::{collections::BTreeMap, ops::Range};

use anyhow::{Context as _, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use self::{
    people::Device,
    reference::{Outcome, Session},
    step::{Event, Step},
    system::System,
};

/// Steps of one run at most; many are of devices that have nothing to do.
const STEPS: usize = 80;

/// How often devices heard what, without whose it was: who plays sees what was played.
pub type Played = BTreeMap<String, u64>;

/// Plays these seeds.
pub async fn play(seeds: Range<u64>) -> Result<Played> {
    let (mut system, mut heard) = (System::start().await?, Played::new());
    for seed in seeds {
        let sessions = vec![];
        let mut run =
            Run { system: &mut system, sessions, vanished: None, history: vec![], heard: &mut heard };
        let played = Box::pin(run.play(seed)).await;
        played.with_context(|| format!("seed {seed}, after\n{:#?}", run.history))?;
        system.next_run().await?;
    }
    system.end().await?;
    Ok(heard)
}

struct Run<'s> {
    system: &'s mut System,
    sessions: Vec<Session>,
    vanished: Option<Device>,
    history: Vec<Event>,
    heard: &'s mut Played,
}

/// The reference after a step, and what it says was heard of each session.
struct Expected {
    sessions: Vec<Session>,
    answer: Result<(), switchhook_protocol::error::ErrorCode>,
    heard: Vec<Heard>,
}

/// Session, device, words.
type Heard = (usize, Device, String);

impl Run<'_> {
    async fn play(&mut self, seed: u64) -> Result<()> {
        let mut dice = StdRng::seed_from_u64(seed);
        for _ in 0..dice.random_range(STEPS / 4..STEPS) {
            let event = step::next(self.sessions.len(), &mut dice);
            self.history.push(event.clone());
            Box::pin(self.happens(event)).await?;
        }
        Ok(())
    }

    async fn happens(&mut self, Event { step, dies_after }: Event) -> Result<()> {
        match step {
            Step::Invite { invited, router, choose } => {
                let (session, outcome) = Session::invite(&invited, (router, choose), System::now());
                self.system.invite(&invited, router, choose).await?;
                let index = self.sessions.len();
                self.sessions.push(session);
                let heard = outcome.heard.into_iter().map(|(device, words)| (index, device, words));
                self.compare(heard.collect()).await
            }
            Step::By { session, device, what } => Box::pin(self.act(session, device, what, dies_after)).await,
            Step::Time(passes) => self.time(passes, dies_after).await,
            Step::Vanish(device) if self.vanished.is_none() => {
                self.vanished = Some(device);
                self.system.vanish(device);
                Ok(())
            }
            Step::Return => {
                if let Some(device) = self.vanished.take() {
                    self.system.comes_back(device).await;
                }
                Ok(())
            }
            Step::Vanish(_) => Ok(()),
            Step::Death => {
                self.system.die().await?;
                self.compare(vec![]).await
            }
        }
    }

    async fn act(
        &mut self,
        session: usize,
        device: Device,
        what: step::Does,
        dies_after: Option<u32>,
    ) -> Result<()> {
        let now = System::now();
        let mut after = self.sessions.clone();
        let Some(Outcome { answer, heard }) = after[session].act(device, what, now) else { return Ok(()) };
        let heard = heard.into_iter().map(|(device, words)| (session, device, words)).collect();
        let done = Expected { sessions: after, answer, heard }.settled(now);
        let said = Box::pin(self.system.act(session, device, what, dies_after)).await?;
        self.system.settle(None).await?;
        let seen = self.system.hear(Some(device)).await?;
        if let Some(said) = said {
            ensure!(said == done.answer, "answered {said:?}, expected {:?}", done.answer);
            return self.check(seen, done).await;
        }
        let undone = Expected { sessions: self.sessions.clone(), answer: Ok(()), heard: vec![] }.settled(now);
        if self.check(seen.clone(), undone).await.is_ok() {
            return Ok(());
        }
        let before = self.sessions[session].clone();
        self.check(seen, done).await?;
        self.sessions[session].answer_lost(device, &before);
        Ok(())
    }

    /// Time passes, from one thing that is due to the next.
    async fn time(&mut self, passes: u64, dies_after: Option<u32>) -> Result<()> {
        let end = System::now() + passes;
        loop {
            let due = self.sessions.iter().filter_map(Session::due).min();
            let now = due.map_or(end, |due| due.min(end));
            System::set_clock(now);
            let mut expected =
                Expected { sessions: self.sessions.clone(), answer: Ok(()), heard: vec![] }.settled(now);
            self.system.settle(dies_after).await?;
            let lost = self.system.look(self.vanished).await?;
            for (session, device) in lost {
                expected.loses(session, device);
            }
            let seen = self.system.hear(None).await?;
            self.check(seen, expected).await?;
            if now == end {
                return Ok(());
            }
        }
    }

    async fn compare(&mut self, heard: Vec<Heard>) -> Result<()> {
        self.system.settle(None).await?;
        let seen = self.system.hear(None).await?;
        let expected = Expected { sessions: self.sessions.clone(), answer: Ok(()), heard };
        self.check(seen, expected).await
    }

    /// Compares what was heard and what is stored, and goes on from there.
    async fn check(&mut self, mut seen: Vec<Heard>, mut expected: Expected) -> Result<()> {
        seen.sort();
        expected.heard.sort();
        ensure!(seen == expected.heard, "heard\n  {seen:?}, expected\n  {:?}", expected.heard);
        for (index, session) in expected.sessions.iter().enumerate() {
            let (stored, wanted) = (self.system.stored(index).await?, session.stored());
            ensure!(stored == wanted, "session {index} is\n  {stored:?}, expected\n  {wanted:?}");
        }
        self.sessions = expected.sessions;
        for (.., words) in seen {
            let kind = words.split(' ').filter(|word| !word.starts_with('+')).collect::<Vec<_>>().join(" ");
            *self.heard.entry(kind).or_default() += 1;
        }
        Ok(())
    }
}

impl Expected {
    /// With what is due by now.
    fn settled(mut self, now: reference::Time) -> Self {
        for (index, session) in self.sessions.iter_mut().enumerate() {
            let heard = session.pass(now);
            self.heard.extend(heard.into_iter().map(|(device, words)| (index, device, words)));
        }
        self
    }

    fn loses(&mut self, session: usize, device: Device) {
        let mut heard = vec![];
        self.sessions[session].leave(device, "lost", &mut heard);
        self.heard.extend(heard.into_iter().map(|(device, words)| (session, device, words)));
    }
}

//! The model test of invitations: random steps on a small reference and on the real thing, side by side.
//!
//! **What happens** ([`step`]): Alice invites one or two people, with `take: first` or `choose`, through one of five routers;
//! devices ring, accept, decline, are busy, stop; the inviter cancels and takes; participants tell and leave; time
//! passes, over waves, ring times and forwards; a device vanishes and comes back; the node dies, between two steps or in the
//! middle of one.
//!
//! **The system** ([`system`]) is one of two. [`in_process`] is a node without sockets: real flows, real decisions, real
//! storage in a file; it is fast, and dies between any two of its moments. [`over_sockets`] is a process of
//! `switchhook serve`, and devices that reach it over sockets by the client library; it is killed, and connections
//! are cut. Only the clock and the router are the test's ([`router`]: both sides ask the same one).
//!
//! **Compared** after each step: the answer, what every device has heard, each user's state, each device's
//! leg, who takes part. A step in whose middle the node dies is done or is not done, and nothing between;
//! an invite is asked again by its key, and done once.
//!
//! A run is its seed. A difference says the seed and every step up to it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test: what is missing fails it"
)]
#![expect(clippy::future_not_send, reason = "a play stays on its thread")]

mod costs;
mod in_process;
mod over_sockets;
mod people;
mod reference;
mod router;
mod step;
mod system;

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    ops::Range,
};

use anyhow::{Context as _, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

pub use self::costs::call;
use self::{
    in_process::InProcess,
    over_sockets::OverSockets,
    people::Device,
    reference::{Outcome, Session},
    step::{Event, Step},
    system::System,
};

/// Steps of one run at most; many are of devices that have nothing to do.
const STEPS: usize = 80;

/// How often devices heard what, without whose it was: who plays sees what was played.
pub type Played = BTreeMap<String, u64>;

/// Plays these seeds on a node without sockets.
pub async fn play(seeds: Range<u64>) -> Result<Played> {
    play_on(InProcess::start().await?, seeds).await
}

/// Plays these seeds on a process of this program, which goes by the test's clock, over sockets.
pub async fn play_over_sockets(program: &str, seeds: Range<u64>) -> Result<Played> {
    play_on(Box::pin(OverSockets::start(program)).await?, seeds).await
}

async fn play_on(mut system: impl System, seeds: Range<u64>) -> Result<Played> {
    let mut heard = Played::new();
    for seed in seeds.clone() {
        let sessions = vec![];
        let mut run =
            Run { system: &mut system, sessions, vanished: None, history: vec![], heard: &mut heard };
        let played = Box::pin(run.play(seed)).await;
        played.with_context(|| format!("seed {seed}, after\n{:#?}", run.history))?;
        system.next_run().await?;
        tell(seed, &seeds);
    }
    system.end().await?;
    Ok(heard)
}

/// Says after each tenth of the runs how far it has come: many take an hour. Not kept back until the test has ended, as
/// what is printed would be.
fn tell(seed: u64, seeds: &Range<u64>) {
    let (played, all) = (seed + 1 - seeds.start, seeds.end - seeds.start);
    if played.is_multiple_of(all.div_ceil(10)) {
        // Where nobody reads it nothing is lost.
        writeln!(io::stderr(), "{played} of {all} runs, no difference").ok();
    }
}

struct Run<'s, S> {
    system: &'s mut S,
    sessions: Vec<Session>,
    vanished: Option<Device>,
    history: Vec<Event>,
    heard: &'s mut Played,
}

/// The reference after a step, and what it says was heard of each session.
struct Expected {
    sessions: Vec<Session>,
    heard: Vec<Heard>,
}

/// Session, device, words.
type Heard = (usize, Device, String);

impl<S: System> Run<'_, S> {
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
                let (session, outcome) = Session::invite(&invited, (router, choose), self.system.now());
                self.system.invite(&invited, (router, choose), dies_after).await?;
                let index = self.sessions.len();
                self.sessions.push(session);
                let heard = outcome.heard.into_iter().map(|(device, words)| (index, device, words));
                self.compare(heard.collect()).await
            }
            Step::By { session, device, what } => Box::pin(self.act(session, device, what, dies_after)).await,
            Step::Time(passes) => self.time(passes, dies_after).await,
            Step::Vanish(device) if self.vanished.is_none() => {
                self.vanished = Some(device);
                self.system.vanish(device).await
            }
            Step::Return => match self.vanished.take() {
                Some(device) => self.system.comes_back(device).await,
                None => Ok(()),
            },
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
        let now = self.system.now();
        let mut after = self.sessions.clone();
        let Some(Outcome { answer, heard }) = after[session].act(device, what, now) else { return Ok(()) };
        let heard = heard.into_iter().map(|(device, words)| (session, device, words)).collect();
        let done = Expected { sessions: after, heard }.settled(now);
        if let Some(said) = Box::pin(self.system.act(session, device, what, dies_after)).await? {
            ensure!(said == answer, "answered {said:?}, expected {answer:?}");
            return self.check(Some(device), vec![done]).await.map(drop);
        }
        let undone = Expected { sessions: self.sessions.clone(), heard: vec![] }.settled(now);
        let before = self.sessions[session].clone();
        if self.check(Some(device), vec![undone, done]).await? == 1 {
            self.sessions[session].answer_lost(device, &before);
        }
        Ok(())
    }

    /// Time passes, from one thing that is due to the next.
    async fn time(&mut self, passes: u64, dies_after: Option<u32>) -> Result<()> {
        let end = self.system.now() + passes;
        loop {
            let due = self.sessions.iter().filter_map(Session::due).min();
            let now = due.map_or(end, |due| due.min(end));
            self.system.set_clock(now).await?;
            let mut expected = Expected { sessions: self.sessions.clone(), heard: vec![] }.settled(now);
            self.system.settle(dies_after).await?;
            for (session, device) in self.system.look(self.vanished).await? {
                expected.loses(session, device);
            }
            self.check(None, vec![expected]).await?;
            if now == end {
                return Ok(());
            }
        }
    }

    async fn compare(&mut self, heard: Vec<Heard>) -> Result<()> {
        let expected = Expected { sessions: self.sessions.clone(), heard };
        self.check(None, vec![expected]).await.map(drop)
    }

    /// Compares what was heard and what is stored with what may have become of a step, and goes on from what has:
    /// the first that fits. Says which one that is.
    async fn check(&mut self, acting: Option<Device>, mut may_be: Vec<Expected>) -> Result<usize> {
        let mut seen = vec![];
        for times in 0.. {
            self.system.settle(None).await?;
            seen.extend(self.system.hear(acting).await?);
            seen.sort();
            let mut difference = Ok(());
            for (which, expected) in may_be.iter_mut().enumerate() {
                difference = self.fits(&seen, expected).await;
                if difference.is_ok() {
                    self.goes_on_from(may_be.swap_remove(which), seen);
                    return Ok(which);
                }
            }
            if !self.system.waits(times).await? {
                difference?;
            }
        }
        unreachable!("a system does not wait for ever")
    }

    async fn fits(&self, seen: &[Heard], expected: &mut Expected) -> Result<()> {
        expected.heard.sort();
        ensure!(seen == expected.heard, "heard\n  {seen:?}, expected\n  {:?}", expected.heard);
        for (index, session) in expected.sessions.iter().enumerate() {
            let (stored, wanted) = (self.system.stored(index).await?, session.stored());
            ensure!(stored == wanted, "session {index} is\n  {stored:?}, expected\n  {wanted:?}");
        }
        Ok(())
    }

    fn goes_on_from(&mut self, expected: Expected, seen: Vec<Heard>) {
        self.sessions = expected.sessions;
        for (.., words) in seen {
            let kind = words.split(' ').filter(|word| !word.starts_with('+')).collect::<Vec<_>>().join(" ");
            *self.heard.entry(kind).or_default() += 1;
        }
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

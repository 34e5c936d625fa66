//! The line of time: who did what, how long it took, and which plugin decided.

use std::{
    io::{self, Write as _},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{DecisionRecord, cli::explain};

/// Prints as it happens. Clones print to the same line of time.
#[derive(Debug, Clone)]
pub(super) struct Timeline(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    json: bool,
    colour: bool,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    last: Instant,
    steps: u32,
}

const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const CYAN: &str = "\x1b[36m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

impl Timeline {
    pub(super) fn new(json: bool, colour: bool) -> Self {
        let began = Instant::now();
        let state = Mutex::new(State { last: began, steps: 0 });
        Self(Arc::new(Inner { json, colour, began, state }))
    }

    /// A new act.
    pub(super) fn act(&self, name: &str) {
        if self.0.json {
            line(&json!({ "act": name }).to_string());
        } else {
            line(&format!("\n{}", self.paint(BOLD, name)));
        }
    }

    /// A step: it took the time since the one before.
    pub(super) fn step(&self, who: &str, what: &str) {
        let (took, at) = self.tick();
        if self.0.json {
            let (at, took) = (at.as_micros(), took.as_micros());
            line(&json!({ "at_us": at, "took_us": took, "who": who, "what": what }).to_string());
        } else {
            let took = self.paint(DIM, &format!("{:>9}", short(took)));
            line(&format!("{took}  {} {what}", self.paint(CYAN, &format!("{who:<14}"))));
        }
    }

    /// What a plugin decided.
    pub(super) fn decided(&self, decision: &DecisionRecord) {
        let DecisionRecord { slot, plugin, version, outcome, micros, failure, .. } = decision;
        if self.0.json {
            line(&json!({ "decision": decision }).to_string());
            return;
        }
        let failure = failure.as_ref().map(|why| format!(" (declared default: {why})")).unwrap_or_default();
        let told = format!("{:>9}  └ {slot} {plugin} v{version}: {outcome} in {micros} µs{failure}", "");
        line(&self.paint(DIM, &told));
    }

    /// What became of a session.
    pub(super) fn explained(&self, known: &Value) {
        if self.0.json {
            line(&json!({ "explained": known }).to_string());
            return;
        }
        for words in explain::words(known).lines() {
            line(&format!("{:>9}  {words}", ""));
        }
    }

    /// The last line.
    pub(super) fn end(&self) -> anyhow::Result<()> {
        let steps = self.0.state.lock().unwrap_or_else(PoisonError::into_inner).steps;
        let took = self.0.began.elapsed();
        if self.0.json {
            line(&json!({ "done": true, "steps": steps, "took_us": took.as_micros() }).to_string());
        } else {
            let told = format!("{steps} steps in {}: all of them happened", short(took));
            line(&format!("\n{}", self.paint(GREEN, &told)));
        }
        Ok(io::stdout().flush()?)
    }

    fn tick(&self) -> (Duration, Duration) {
        let now = Instant::now();
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let took = now - state.last;
        state.last = now;
        state.steps += 1;
        drop(state);
        (took, now - self.0.began)
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.0.colour { format!("{colour}{text}{PLAIN}") } else { text.to_owned() }
    }
}

fn line(line: &str) {
    // A closed pipe ends the reader's interest, not the demo.
    writeln!(anstream::stdout().lock(), "{line}").unwrap_or_default();
}

/// A duration in the unit that fits.
pub(super) fn short(duration: Duration) -> String {
    if duration >= Duration::from_secs(1) {
        format!("{:.2} s", duration.as_secs_f64())
    } else {
        format!("{:.1} ms", duration.as_secs_f64() * 1000.0)
    }
}

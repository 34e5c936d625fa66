//! What a bench found: figures, and how they stand to what is to be reached.

use serde::Serialize;

use crate::series::Series;

/// The result of one bench.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    bench: &'static str,
    figures: Vec<Figure>,
    targets: Vec<Target>,
    skipped: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Figure {
    what: String,
    unit: &'static str,
    median: f64,
    lowest: f64,
    highest: f64,
}

#[derive(Debug, Serialize)]
struct Target {
    what: String,
    measured: f64,
    to_reach: Bound,
    reached: bool,
}

/// What is to be reached.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Report {
    pub(crate) const fn new(bench: &'static str) -> Self {
        Self { bench, figures: Vec::new(), targets: Vec::new(), skipped: Vec::new() }
    }

    pub(crate) fn figure(&mut self, what: impl Into<String>, unit: &'static str, series: &Series) {
        let (median, lowest, highest) = (series.median(), series.lowest(), series.highest());
        self.figures.push(Figure { what: what.into(), unit, median, lowest, highest });
    }

    pub(crate) fn target(&mut self, what: impl Into<String>, measured: &Series, to_reach: Bound) {
        let measured = measured.median();
        let reached = match to_reach {
            Bound::AtMost(bound) => measured <= bound,
            Bound::AtLeast(bound) => measured >= bound,
        };
        self.targets.push(Target { what: what.into(), measured, to_reach, reached });
    }

    /// A yardstick that this machine lacks.
    pub(crate) fn skipped(&mut self, what: &str, why: &str) {
        self.skipped.push(format!("skipped: {what}: {why}"));
    }

    pub(crate) fn print(&self) {
        println!("\n{}", self.bench);
        println!("  {:58} {:>12} {:>12} {:>12}", "", "median", "lowest", "highest");
        for Figure { what, unit, median, lowest, highest } in &self.figures {
            println!("  {what:58} {median:>12.2} {lowest:>12.2} {highest:>12.2} {unit}");
        }
        for Target { what, measured, to_reach, reached } in &self.targets {
            let (word, bound) = match to_reach {
                Bound::AtMost(bound) => ("at most", bound),
                Bound::AtLeast(bound) => ("at least", bound),
            };
            let verdict = if *reached { "reached" } else { "NOT reached" };
            println!("  {what:58} {measured:>12.2}  {word} {bound}: {verdict}");
        }
        for skipped in &self.skipped {
            println!("{skipped}");
        }
    }
}

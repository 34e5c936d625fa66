//! `switchhook plugin bench`: one case, many times.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde::Serialize;

use super::{
    case::{self, Ask, Asked},
    stage::{self, Stage},
    subject::Subject,
};
use crate::cli::print::{FAINT, Form, styled};

/// Asks one case many times, in this process: how long an answer takes, and its fuel.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    subject: Subject,
    /// The first case whose name contains this; by default the first case.
    #[arg(long)]
    case: Option<String>,
    /// How often to ask.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    calls: u32,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, Serialize)]
struct Measured {
    case: String,
    calls: u32,
    /// Instance, call and checks of the answer.
    median_micros: u64,
    p99_micros: u64,
    fuel: u64,
}

impl Bench {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let found = self.subject.find()?;
        let folder = found.folder.as_deref().context("cases lie in a project: name its folder")?;
        let wanted = |name: &str| self.case.as_ref().is_none_or(|part| name.contains(part.as_str()));
        let case = case::of_project(folder)?.into_iter().find(|case| wanted(&case.name));
        let case = case.context("no case of that name")?;
        let runtime = stage::runtime()?;
        let plugin = stage::compiled(&runtime, &found).await?;
        let Ok(stage) = Stage::set(&runtime, &plugin, &case).await? else {
            bail!("the plugin refuses the case's configuration");
        };
        let Some(Asked { ask, .. }) = case.asked.first() else { bail!("the case asks nothing") };
        ensure!(ask.slot() == plugin.slot(), "the case asks a {}", Ask::slot(ask));
        let mut times = Vec::new();
        let mut fuel = 0;
        for _ in 0..self.calls {
            let answer = stage.ask(&case, ask, None).await?;
            times.push(answer.took_micros);
            fuel = answer.fuel;
        }
        times.sort_unstable();
        let (median_micros, p99_micros) = (quantile(&times, 50), quantile(&times, 99));
        let measured = Measured { case: case.name, calls: self.calls, median_micros, p99_micros, fuel };
        self.form.answer(&measured, Measured::words)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Of sorted times.
fn quantile(times: &[u64], percent: usize) -> u64 {
    let last = times.len().saturating_sub(1);
    times.get(last * percent / 100).copied().unwrap_or(0)
}

impl Measured {
    fn words(&self) -> String {
        let Self { case, calls, median_micros, p99_micros, fuel } = self;
        let calls = styled(FAINT, &format!("{calls} calls"));
        format!("{case}\n  median {median_micros} µs, p99 {p99_micros} µs, fuel {fuel}  {calls}")
    }
}

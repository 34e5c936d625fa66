//! `switchhook plugin logs`: what a plugin wrote for its tenant.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::{Chosen, Remote};
use crate::cli::print::{BAD, FAINT, Form, ODD, styled};

/// Shows what a plugin wrote.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Goes on as lines come, until it is interrupted.
    #[arg(long, short)]
    follow: bool,
    /// Only lines after this position.
    #[arg(long, default_value_t = 0)]
    after: u64,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Deserialize)]
struct Page {
    lines: Vec<Line>,
    /// Where the next page begins.
    next: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    position: u64,
    /// Milliseconds since 1970.
    at: u64,
    version: u32,
    subject: String,
    level: String,
    text: String,
}

/// How long the server keeps a question for lines open.
const LONG_POLL_MS: u64 = 20_000;

impl Logs {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let chosen = self.remote.chosen()?;
        let mut after = self.after;
        loop {
            let page = page(&chosen, after, self.follow).await?;
            for line in &page.lines {
                say(self.remote.at.form, line)?;
            }
            after = page.next;
            if page.lines.is_empty() && !self.follow {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
}

async fn page(chosen: &Chosen, after: u64, wait: bool) -> Result<Page> {
    let wait_ms = if wait { LONG_POLL_MS } else { 0 };
    let query = [("after", after.to_string()), ("wait_ms", wait_ms.to_string())];
    chosen.admin.get(&chosen.path("logs"), &query).await
}

fn say(form: Form, line: &Line) -> Result<()> {
    form.answer(line, |Line { at, version, subject, level, text, .. }| {
        let level = match level.as_str() {
            "error" => styled(BAD, level),
            "warn" => styled(ODD, level),
            _ => level.clone(),
        };
        format!("{} {level} {text}", styled(FAINT, &format!("{at} v{version} {subject}")))
    })
}

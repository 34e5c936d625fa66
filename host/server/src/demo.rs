//! `switchhook demo`: the main job on a real server, as a line of time.
//!
//! A real server starts on free loopback ports with a data folder of its own, beside it the sandbox
//! SMS transit and a mail server. Alice's phone, and Bob's phone and tablet, enrol and register by SMS; Alice
//! registers her e-mail address too. Alice calls Bob twice: first directly; then each of the two sits behind a symmetric NAT of its own, CDX sees
//! that, the policy decides on what CDX saw, and the bytes go through the relay. A third time Bob's devices
//! ring one after the other, nobody answers, and the server explains what became of it. Whatever does not
//! happen in time ends the demo with an error.

mod email;
mod phone;
mod stage;
mod story;
mod timeline;

use std::io::{self, IsTerminal as _};

use clap::Args;

use self::{stage::Stage, timeline::Timeline};
use crate::cli::telemetry;

/// Three devices of two people register by SMS, one by e-mail too; three calls: directly, through the relay, and one that nobody
/// answers.
#[derive(Debug, Args)]
pub struct Demo {
    /// One JSON object a line, for machines.
    #[arg(long)]
    json: bool,
}

impl Demo {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        telemetry::start(self.json, "error");
        let timeline = Timeline::new(self.json, io::stdout().is_terminal());
        let stage = Stage::set(&timeline).await?;
        let told = Box::pin(story::tell(&stage)).await;
        stage.strike().await;
        told?;
        timeline.end()
    }
}

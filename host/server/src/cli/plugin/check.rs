//! `switchhook plugin check`: what a host would say about a component.

use std::process::ExitCode;

use clap::Args;

use super::{report, stage, subject::Subject};
use crate::cli::print::Form;

/// Says what a host would say about a component; ends with 1 if it would refuse it.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    form: Form,
}

impl Check {
    pub(crate) async fn run(self) -> anyhow::Result<ExitCode> {
        let found = self.subject.find()?;
        let report = stage::examine(&stage::runtime()?, &found.bytes, found.slot).await?.report;
        self.form.answer(&report, report::words)?;
        Ok(ExitCode::from(u8::from(!report.accepted())))
    }
}

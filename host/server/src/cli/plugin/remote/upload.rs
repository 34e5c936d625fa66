//! `switchhook plugin upload`: a new version, inactive until it is activated.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::Value;
use switchhook_plugin_runtime::Report;

use super::Remote;
use crate::cli::{
    admin::Problem,
    plugin::{report, subject::Subject},
    print::{Form, GOOD, progress, size, styled},
};

/// Uploads a component as a new version of a plugin; it is asked nothing until it is activated.
#[derive(Debug, Args)]
pub(crate) struct Upload {
    #[command(flatten)]
    subject: Subject,
    /// The plugin's name; by default that of the project.
    #[arg(long)]
    name: Option<switchhook_protocol::id::MethodName>,
    #[command(flatten)]
    at: super::AtTenant,
}

impl Upload {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let Self { subject, name, at } = self;
        let form = at.form;
        let found = subject.find()?;
        let remote = Remote { at, slot: None, name };
        let asked = remote.asked_or(found.slot, found.name.as_deref())?;
        progress(&format!("uploading {}", size(u64::try_from(found.bytes.len())?)));
        match asked.admin.upload(&asked.path("versions"), found.bytes).await {
            Ok(uploaded) => form.answer(&uploaded, words).map(|()| ExitCode::SUCCESS),
            Err(error) => refused(form, error),
        }
    }
}

fn words(uploaded: &Value) -> String {
    let version = uploaded.get("version").unwrap_or(&Value::Null);
    let done = styled(GOOD, &format!("uploaded as version {version}"));
    format!("{done}; inactive until `switchhook plugin activate {version}`")
}

/// A report is shown as `check` shows it.
fn refused(form: Form, error: anyhow::Error) -> Result<ExitCode> {
    let report = error.downcast_ref::<Problem>().and_then(|problem| problem.report.clone());
    let Some(report) = report.and_then(|report| serde_json::from_value::<Report>(report).ok()) else {
        return Err(error);
    };
    form.answer(&report, report::words)?;
    Ok(ExitCode::FAILURE)
}

//! `switchhook plugin upload`: a new version, inactive until it is activated.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};
use switchhook_plugin_runtime::Report;

use super::Remote;
use crate::cli::{
    admin::Problem,
    plugin::{report, subject::Subject},
    print::{Form, GOOD, progress, size, styled},
};

/// Uploads a component, or names a webhook, as a new version of a plugin; it is asked nothing until it is activated.
#[derive(Debug, Args)]
pub(crate) struct Upload {
    #[command(flatten)]
    subject: Subject,
    /// Instead of a component: the address of a service of yours that answers in the slot of --slot.
    #[arg(long, value_name = "URL", requires = "slot", requires = "name", conflicts_with = "path")]
    webhook: Option<String>,
    /// The secret that requests to the webhook are signed under; one is made and shown if absent.
    #[arg(
        long,
        value_name = "SECRET",
        requires = "webhook",
        env = "SWITCHHOOK_WEBHOOK_SECRET",
        hide_env_values = true
    )]
    webhook_secret: Option<String>,
    /// The plugin's name; by default that of the project.
    #[arg(long)]
    name: Option<switchhook_protocol::id::MethodName>,
    #[command(flatten)]
    at: super::AtTenant,
}

impl Upload {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let Self { subject, webhook, webhook_secret, name, at } = self;
        let form = at.form;
        let answered = if let Some(url) = webhook {
            let chosen = Remote { at, slot: subject.slot(), name }.chosen()?;
            let new = json!({ "webhook": { "url": url, "secret": webhook_secret } });
            chosen.admin.send_json(Method::POST, &chosen.path("versions"), Some(&new)).await
        } else {
            let found = subject.find()?;
            let chosen = Remote { at, slot: None, name }.chosen_or(found.slot, found.name.as_deref())?;
            progress(&format!("uploading {}", size(u64::try_from(found.bytes.len())?)));
            chosen.admin.upload(&chosen.path("versions"), found.bytes).await
        };
        match answered {
            Ok(uploaded) => form.answer(&uploaded, words).map(|()| ExitCode::SUCCESS),
            Err(error) => refused(form, error),
        }
    }
}

fn words(uploaded: &Value) -> String {
    let version = uploaded.get("version").unwrap_or(&Value::Null);
    let done = styled(GOOD, &format!("uploaded as version {version}"));
    let next = format!("{done}; inactive until `switchhook plugin activate {version}`");
    match uploaded.get("secret").and_then(Value::as_str) {
        Some(secret) => format!("{next}\nits secret, shown this once: {secret}"),
        None => next,
    }
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

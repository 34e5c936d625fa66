//! What a tenant has: plugins, versions, metrics.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::{AtTenant, Remote};
use crate::cli::print::{FAINT, GOOD, styled};

/// Lists a tenant's plugins.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    at: AtTenant,
}

/// Shows a plugin with its versions and grants, or one version with its report.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// One version, with its report.
    version: Option<u32>,
    #[command(flatten)]
    remote: Remote,
}

/// Shows how calls of a plugin went.
#[derive(Debug, Args)]
pub(crate) struct Metrics {
    #[command(flatten)]
    remote: Remote,
}

impl List {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let plugins: Value = self.at.admin()?.get(&self.at.path("plugins"), &[]).await?;
        self.at.form.answer(&plugins, |plugins| {
            rows(plugins.get("plugins"), |plugin| {
                let active = match plugin.get("active_version").and_then(Value::as_u64) {
                    Some(version) => styled(GOOD, &format!("version {version}")),
                    None => styled(FAINT, "not active"),
                };
                format!("{:<20} {:<24} {active}", word(plugin, "slot"), word(plugin, "name"))
            })
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Show {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let chosen = self.remote.chosen()?;
        let below = self.version.map(|version| format!("versions/{version}")).unwrap_or_default();
        let shown: Value = chosen.admin.get(&chosen.path(&below), &[]).await?;
        let one = self.version.is_some();
        self.remote.at.form.answer(&shown, |shown| if one { format!("{shown:#}") } else { words(shown) })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Metrics {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let chosen = self.remote.chosen()?;
        let metrics: Value = chosen.admin.get(&chosen.path("metrics"), &[]).await?;
        self.remote.at.form.answer(&metrics, |metrics| format!("{metrics:#}"))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn words(plugin: &Value) -> String {
    let versions = rows(plugin.get("versions"), |version| {
        let (number, digest) = (word(version, "version"), word(version, "digest"));
        let digest = digest.get(..12).unwrap_or(&digest).to_owned();
        let told = version.get("configuration").unwrap_or(&Value::Null);
        format!("{number:>4} {:<9} {:<9} {digest} {told}", word(version, "state"), word(version, "kind"))
    });
    let grants = plugin.get("grants").unwrap_or(&Value::Null);
    format!("{} {}\n{versions}\ngrants {grants}", word(plugin, "slot"), word(plugin, "name"))
}

fn rows(list: Option<&Value>, row: impl Fn(&Value) -> String) -> String {
    let rows = list.and_then(Value::as_array).map(|list| list.iter().map(row).collect::<Vec<_>>());
    rows.unwrap_or_default().join("\n")
}

/// A text without its quotes, or any other value as JSON.
fn word(of: &Value, field: &str) -> String {
    match of.get(field) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

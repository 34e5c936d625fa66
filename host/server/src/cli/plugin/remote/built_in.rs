//! `switchhook plugin built-in`: what the server brings and a tenant made by an earlier version lacks.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::AtTenant;
use crate::cli::print::{FAINT, GOOD, styled};

/// Gives a tenant the built-in plugins of its server that it does not have. They are inactive: nothing that is asked
/// changes.
#[derive(Debug, Args)]
pub(crate) struct BuiltIn {
    #[command(flatten)]
    at: AtTenant,
}

impl BuiltIn {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let path = self.at.path("built-in-plugins");
        let offered = self.at.admin()?.send_json(Method::POST, &path, None).await?;
        self.at.form.answer(&offered, words)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn words(offered: &Value) -> String {
    let lines = offered.as_array().into_iter().flatten().map(line);
    lines.collect::<Vec<_>>().join("\n")
}

fn line(plugin: &Value) -> String {
    let word = |name| plugin.get(name).and_then(Value::as_str).unwrap_or_default();
    let version = plugin.get("version").and_then(Value::as_u64).unwrap_or_default();
    let (slot, name) = (word("slot"), word("name"));
    let state = match word("state") {
        "active" => styled(GOOD, &format!("version {version} is active")),
        state => {
            let activate = format!("switchhook plugin activate {version} --slot {slot} --name {name}");
            format!("{} `{activate}`", styled(FAINT, &format!("version {version} is {state}:")))
        }
    };
    format!("{slot:<20} {name:<24} {state}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_reads_it_is_told_what_to_type_to_have_one_asked() {
        let plugin = |state| json!({ "slot": "registration-method", "name": "register-email", "version": 2, "state": state });
        let told = line(&plugin("inactive"));
        assert!(
            told.ends_with("`switchhook plugin activate 2 --slot registration-method --name register-email`"),
            "{told}"
        );
        assert!(!line(&plugin("active")).contains('`'));
    }
}

//! `switchhook explain`: why did it not ring?

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::{
    at_tenant::AtTenant,
    print::{FAINT, GOOD, ODD, styled},
};

/// Explains what became of a session, or of the last invites to an identifier.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// A session's id, or an identifier such as +15550100.
    about: String,
    #[command(flatten)]
    at: AtTenant,
}

impl Explain {
    pub(crate) async fn run(self) -> Result<ExitCode> {
        let Self { about, at } = self;
        let known: Value = at.admin()?.get(&at.path("explain"), &[("about", about)]).await?;
        at.form.answer(&known, words)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// As people read it.
pub(crate) fn words(known: &Value) -> String {
    let findings = all(known, "findings").map(|finding| {
        let sentence = finding.as_str().unwrap_or_default();
        format!("{} {sentence}", styled(ODD, "!"))
    });
    let devices = all(known, "devices").map(|device| {
        let online = flag(device, "online");
        let state = if online { styled(GOOD, "online") } else { styled(ODD, "away") };
        let waiting = device.get("waiting").and_then(Value::as_u64).unwrap_or(0);
        format!("{} {} {state}, {waiting} messages wait", text(device, "kind"), text(device, "device"))
    });
    let refused = all(known, "refused").map(|refused| {
        let invited: Vec<&str> = all(refused, "invited").filter_map(Value::as_str).collect();
        let (from, to, code) = (text(refused, "from"), invited.join(", "), text(refused, "code"));
        format!("{} {from} to {to}: {code}, {}", styled(ODD, "refused"), text(refused, "message"))
    });
    let sessions = all(known, "sessions").map(session);
    findings.chain(devices).chain(refused).chain(sessions).collect::<Vec<_>>().join("\n")
}

/// A session: its users, then its line of time.
fn session(of: &Value) -> String {
    let head = format!(
        "\n{} {}{}",
        text(of, "session"),
        text(of, "purpose"),
        if flag(of, "runs") { styled(GOOD, " running") } else { String::new() }
    );
    let users = all(of, "users").map(|user| {
        let number = |name| user.get(name).and_then(Value::as_u64).unwrap_or(0);
        let (rang, devices) = (number("rang"), number("devices"));
        let forwarded: Vec<&str> = all(user, "forwarded").filter_map(Value::as_str).collect();
        let on = if forwarded.is_empty() {
            String::new()
        } else {
            format!(", went on to {}", forwarded.join(", "))
        };
        format!("  {} {}: {rang} of {devices} devices rang{on}", text(user, "endpoint"), text(user, "state"))
    });
    let line = all(of, "line").map(|event| {
        let after = event.get("after_ms").and_then(Value::as_i64).unwrap_or(0);
        format!("  {} {}", styled(FAINT, &format!("{after:>7} ms")), happened(event))
    });
    std::iter::once(head).chain(users).chain(line).collect::<Vec<_>>().join("\n")
}

fn happened(event: &Value) -> String {
    if let Some(decision) = event.get("decision") {
        return decided(decision);
    }
    let subject = [text(event, "device"), text(event, "to")].concat();
    format!("{} {subject}", text(event, "what"))
}

fn decided(decision: &Value) -> String {
    let failure = decision.get("failure").and_then(Value::as_str);
    let failure = failure.map(|why| styled(ODD, &format!(" (default: {why})"))).unwrap_or_default();
    let version = decision.get("version").and_then(Value::as_u64).unwrap_or(0);
    let (slot, plugin, outcome) =
        (text(decision, "slot"), text(decision, "plugin"), text(decision, "outcome"));
    format!("{slot} {plugin} v{version}: {outcome}{failure}")
}

fn all<'a>(of: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    of.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn flag(of: &Value, name: &str) -> bool {
    of.get(name).and_then(Value::as_bool).unwrap_or(false)
}

//! One person's data, from the command line.

use anyhow::{Result, ensure};
use serde_json::Value;
use switchhook_protocol::endpoint::EndpointId;

use super::super::{
    at_tenant::AtTenant,
    print::{GOOD, styled},
};

pub(super) async fn export(at: &AtTenant, endpoint: &EndpointId) -> Result<()> {
    let query = [("endpoint", endpoint.reveal().to_owned())];
    let person: Value = at.admin()?.get(&at.path("person"), &query).await?;
    // For machines either way: it goes to whom it is about.
    let text = serde_json::to_string_pretty(&person)?;
    at.form.answer(&person, |_| text)
}

pub(super) async fn erase(at: &AtTenant, endpoint: &EndpointId, yes: bool) -> Result<()> {
    ensure!(yes, "this erases everything of {} and cannot be undone: say so with --yes", endpoint.reveal());
    let query = [("endpoint", endpoint.reveal().to_owned())];
    let erased = at.admin()?.delete(&at.path("person"), &query).await?;
    at.form.answer(&erased, words)
}

fn words(erased: &Value) -> String {
    let number = |name: &str| erased.get(name).and_then(Value::as_u64).unwrap_or(0);
    let devices = erased.get("devices").and_then(Value::as_array).map_or(0, Vec::len);
    let words = format!(
        "erased, with {devices} devices of its own, {} sessions and {} events for others",
        number("sessions"),
        number("events")
    );
    styled(GOOD, &words)
}

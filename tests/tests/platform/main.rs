//! Plugins of a tenant's own: uploaded, activated and taken back while the host runs.

mod built_in;
mod capabilities;
mod compiling;
mod containment;
mod effects;
mod load;
mod versions;
mod walls;
mod webhooks;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use switchhook_tests::{admin::Admin, host::Host};

const ALICE: &str = "+15550100";
const BOB: &str = "+15550101";

/// Uploads a component and makes it active; its version.
async fn install(admin: &Admin, plugin: &str, component: &[u8], configuration: Value) -> Result<u64> {
    let version = upload(admin, plugin, component).await?;
    let how = json!({ "version": version, "configuration": configuration });
    admin.changed(plugin, "activate", &how).await?;
    Ok(version)
}

/// Uploads a component; its version.
async fn upload(admin: &Admin, plugin: &str, component: &[u8]) -> Result<u64> {
    let (status, body) = admin.upload(plugin, component.to_vec()).await?;
    match body.get("version").and_then(Value::as_u64) {
        Some(version) if status.is_success() => Ok(version),
        _ => bail!("{plugin}: {status} {body}"),
    }
}

/// What the router decided about an invite: its name, its words, and why the default counted.
async fn routed(host: &Host, session: &str) -> Result<(String, String, Option<String>)> {
    let decisions = host.admin.decisions(session).await?;
    let Some(decision) = decisions.into_iter().find(|it| it.slot == "invite-router") else {
        bail!("no router decided")
    };
    Ok((decision.plugin, decision.outcome, decision.failure))
}

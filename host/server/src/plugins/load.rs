//! From rows to plugins that can be asked.

use std::sync::Arc;

use switchhook_core::{
    policy::{Grants, Slot},
    row::{PluginVersion, VersionState},
};
use switchhook_plugin_runtime::{ActivePlugin, CompileError, Compiled, Digest, Report};
use switchhook_protocol::id::{MethodName, TenantId};
use switchhook_storage::StorageError;
use tracing::error;

use super::webhook::{InvalidWebhook, Webhook};
use crate::app::App;

/// Why a stored version cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotLoaded {
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error("its component is gone")]
    Gone,
    #[error("its name is no method name")]
    Name,
    #[error(transparent)]
    Webhook(#[from] InvalidWebhook),
    #[error("what it said of itself is gone")]
    Undescribed,
}

/// Loads a tenant's active and draining versions and what they are granted; says whether all of them load. One that
/// does not leaves its slot to the declared default.
pub(crate) async fn tenant(app: &App, tenant: &TenantId) -> Result<bool, StorageError> {
    let storage = app.storage.of(tenant);
    for (slot, name, grants) in storage.plugins().grants().await? {
        grant(app, tenant, (slot, &name), &grants);
    }
    let (mut active, mut draining, mut all) = (Vec::new(), Vec::new(), true);
    for row in storage.plugins().loaded().await? {
        match version(app, tenant, &row).await {
            Ok(plugin) if row.state == VersionState::Draining => draining.push(plugin),
            Ok(plugin) => active.push(plugin),
            Err(refused) => {
                all = false;
                error!(tenant.id = %tenant, plugin = row.name, %refused, "an active plugin does not load");
            }
        }
    }
    for overlap in app.plugins.slots.replace(tenant, active, draining) {
        error!(tenant.id = %tenant, %overlap, "an active plugin cannot be asked");
    }
    Ok(all)
}

/// Makes a version ready.
pub(crate) async fn version(
    app: &App,
    tenant: &TenantId,
    row: &PluginVersion,
) -> Result<ActivePlugin, NotLoaded> {
    let plugin = match &row.webhook {
        Some(sealed) => webhook(app, tenant, row, sealed)?,
        None => component(app, tenant, row).await?,
    };
    let name = row.name.parse().or(Err(NotLoaded::Name))?;
    Ok(ActivePlugin { name, version: row.version, plugin, configuration: row.configuration.clone() })
}

async fn component(app: &App, tenant: &TenantId, row: &PluginVersion) -> Result<Compiled, NotLoaded> {
    let bytes = app.storage.of(tenant).plugins().artifact(&row.digest).await?.ok_or(NotLoaded::Gone)?;
    Ok(app.plugins.ready(&bytes, row.slot).await?)
}

/// It is what it was when it was made, whether or not it can be reached now.
fn webhook(app: &App, tenant: &TenantId, row: &PluginVersion, sealed: &[u8]) -> Result<Compiled, NotLoaded> {
    let report = serde_json::from_str::<Report>(&row.report).ok();
    let description = report.and_then(|report| report.description).ok_or(NotLoaded::Undescribed)?;
    let asker = Webhook::open(app, tenant, sealed)?.asker(&app.outbound);
    Ok(Compiled::webhook(Digest(row.digest), description, row.slot, Arc::new(asker)))
}

fn grant(app: &App, tenant: &TenantId, (slot, name): (Slot, &str), stored: &str) {
    let parsed = (name.parse::<MethodName>(), serde_json::from_str::<Grants>(stored));
    if let (Ok(name), Ok(grants)) = parsed {
        app.granted.put(tenant, slot, &name, grants);
    } else {
        error!(tenant.id = %tenant, plugin = name, "what a plugin is granted cannot be read");
    }
}

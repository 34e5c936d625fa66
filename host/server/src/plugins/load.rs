//! From rows to plugins that can be asked.

use switchhook_core::{
    policy::{Grants, Slot},
    row::{PluginVersion, VersionState},
};
use switchhook_plugin_runtime::{ActivePlugin, CompileError};
use switchhook_protocol::id::{MethodName, TenantId};
use switchhook_storage::StorageError;
use tracing::error;

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
}

/// Loads a tenant's active and draining versions and what they are granted. One that does not load
/// leaves its slot to the declared default.
pub(crate) async fn tenant(app: &App, tenant: &TenantId) -> Result<(), StorageError> {
    let storage = app.storage.of(tenant);
    for (slot, name, grants) in storage.plugins().grants().await? {
        grant(app, tenant, (slot, &name), &grants);
    }
    for row in storage.plugins().loaded().await? {
        match version(app, tenant, &row).await {
            Ok(plugin) if row.state == VersionState::Draining => app.plugins.slots.keep(tenant, plugin),
            Ok(plugin) => {
                if let Err(overlap) = app.plugins.slots.activate(tenant, plugin) {
                    error!(tenant.id = %tenant, plugin = row.name, %overlap, "an active plugin cannot be asked");
                }
            }
            Err(refused) => {
                error!(tenant.id = %tenant, plugin = row.name, %refused, "an active plugin does not load");
            }
        }
    }
    Ok(())
}

/// Makes a version ready.
pub(crate) async fn version(
    app: &App,
    tenant: &TenantId,
    row: &PluginVersion,
) -> Result<ActivePlugin, NotLoaded> {
    let bytes = app.storage.of(tenant).plugins().artifact(&row.digest).await?.ok_or(NotLoaded::Gone)?;
    let plugin = app.plugins.ready(&bytes, row.slot).await?;
    let name = row.name.parse().or(Err(NotLoaded::Name))?;
    Ok(ActivePlugin { name, version: row.version, plugin, configuration: row.configuration.clone() })
}

fn grant(app: &App, tenant: &TenantId, (slot, name): (Slot, &str), stored: &str) {
    let parsed = (name.parse::<MethodName>(), serde_json::from_str::<Grants>(stored));
    if let (Ok(name), Ok(grants)) = parsed {
        app.granted.put(tenant, slot, &name, grants);
    } else {
        error!(tenant.id = %tenant, plugin = name, "what a plugin is granted cannot be read");
    }
}

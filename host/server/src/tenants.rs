//! Tenants: made with the built-in plugins active, and loaded at start.
//!
//! The built-in plugins go the way of any other: stored as an artefact of the tenant, activated as
//! version 1, loaded from the database (PLUG-2).

use switchhook_core::{mint, row::Gateway, seal::Purpose};
use switchhook_plugin_runtime::{ActivePlugin, CompileError, Digest, builtin};
use switchhook_protocol::id::TenantId;
use switchhook_storage::{Activation, StorageError};
use tracing::error;

use crate::{app::App, flows::FlowError};

/// The tenant that the first start makes.
pub const DEFAULT: &str = "default";

/// The gateway that the first start gives it.
pub const SANDBOX: &str = "sandbox";

/// The short code of the sandbox gateway.
pub const SANDBOX_NUMBER: &str = "70470";

/// Makes a tenant; false if it was there.
pub(crate) async fn create(app: &App, tenant: &TenantId) -> Result<bool, FlowError> {
    let made = app.storage.tenants().create(tenant, app.now()).await?;
    let storage = app.storage.of(tenant);
    if storage.plugins().active().await?.is_empty() {
        storage
            .run("tenant-create", async move |tx| {
                for built_in in builtin::all() {
                    let digest = Digest::of(built_in.bytes).0;
                    tx.put_artifact(&digest, built_in.bytes.to_vec()).await?;
                    tx.put_activation(&Activation {
                        slot: built_in.slot,
                        name: built_in.name.to_owned(),
                        version: 1,
                        digest,
                        configuration: built_in.configuration.to_owned(),
                        active: true,
                    })
                    .await?;
                }
                Ok::<_, StorageError>(())
            })
            .await?;
    }
    load(app, tenant).await?;
    Ok(made)
}

/// Gives a tenant the sandbox gateway, for laptops: its carrier is a program of ours.
pub(crate) async fn put_sandbox(app: &App, tenant: &TenantId, send_url: &str) -> Result<String, FlowError> {
    let secret = mint::nonce(&mut app.rng());
    let gateway = Gateway {
        id: SANDBOX.parse().unwrap_or_else(|_| unreachable!("a word is an id")),
        number: SANDBOX_NUMBER.to_owned(),
        send_url: send_url.to_owned(),
        secret: app.keys.of(tenant).seal_bytes(Purpose::Secret, secret.as_bytes(), &mut app.rng()),
    };
    let storage = app.storage.of(tenant);
    storage.run("gateway-put", async move |tx| tx.put_gateway(&gateway).await).await?;
    Ok(secret)
}

/// Loads the active plugins of every tenant.
pub(crate) async fn load_all(app: &App) -> Result<(), FlowError> {
    for tenant in app.storage.tenants().list().await? {
        load(app, &tenant).await?;
    }
    Ok(())
}

/// Loads a tenant's active plugins; one that does not load leaves its slot to the declared default.
async fn load(app: &App, tenant: &TenantId) -> Result<(), FlowError> {
    let storage = app.storage.of(tenant);
    for activation in storage.plugins().active().await? {
        let Some(bytes) = storage.plugins().artifact(&activation.digest).await? else { continue };
        match ready(app, &bytes, &activation).await {
            Ok(plugin) => app.plugins.activate(tenant, plugin),
            Err(refused) => {
                let plugin = activation.name;
                error!(tenant.id = %tenant, plugin, %refused, "an active plugin does not load");
            }
        }
    }
    Ok(())
}

/// Why a stored plugin does not load.
#[derive(Debug, thiserror::Error)]
enum NotReady {
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error("its name is no method name")]
    Name,
}

async fn ready(app: &App, bytes: &[u8], activation: &Activation) -> Result<ActivePlugin, NotReady> {
    let plugin = app.plugins.ready(bytes, activation.slot).await?;
    let name = activation.name.parse().or(Err(NotReady::Name))?;
    let configuration = activation.configuration.clone();
    Ok(ActivePlugin { name, version: activation.version, plugin, configuration })
}

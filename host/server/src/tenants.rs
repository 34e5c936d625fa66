//! Tenants: made with the built-in plugins active.
//!
//! The built-in plugins go the way of any other: stored as an artefact of the tenant, activated as
//! version 1, loaded from the database (PLUG-2).

use switchhook_core::{
    row::{PluginVersion, VersionState},
    tenant::TenantSettings,
};
use switchhook_plugin_runtime::{
    Digest,
    builtin::{self, Builtin},
};
use switchhook_protocol::{error::ErrorCode, id::TenantId, time::Timestamp};
use switchhook_storage::StorageError;
use tracing::error;

use crate::{
    app::App,
    flows::FlowError,
    http::admin::{Administrator, OfTenant},
    nodes::others::ToAll,
    plugins::{changes, reconcile},
};

/// The tenant that the first start makes.
pub const DEFAULT: &str = "default";

/// The tenant that an address names.
pub(crate) async fn known(app: &App, name: &str) -> Result<TenantId, FlowError> {
    let tenant: TenantId = name.parse().or(Err(ErrorCode::UnknownTenant))?;
    if !app.storage.tenants().exists(&tenant).await? {
        return Err(ErrorCode::UnknownTenant.into());
    }
    // Another node may have just made it.
    reconcile::known(app, &tenant).await?;
    if !app.bounds.knows(&tenant) {
        read_settings(app).await?;
    }
    Ok(tenant)
}

/// Makes a tenant; false if it was there. Its audit begins with who made it, unless that was the first start.
pub(crate) async fn create(
    app: &App,
    tenant: &TenantId,
    who: Option<Administrator>,
) -> Result<bool, FlowError> {
    let made = app.storage.tenants().create(tenant, app.now()).await?;
    let storage = app.storage.of(tenant);
    let now = app.now();
    // A start after a crash in between finds the tenant, and gives it the rest.
    if storage.plugins().list().await?.is_empty() {
        let subject = tenant.clone();
        storage
            .run("tenant-create", async move |tx| {
                for (count, built_in) in (1..).zip(builtin::all()) {
                    tx.put_artifact(&Digest::of(built_in.bytes).0, built_in.bytes.to_vec()).await?;
                    tx.put_plugin_version(&first_version(built_in, count, now)).await?;
                }
                match &who {
                    Some(who) => who.note(tx, ("tenant.create", subject.as_str()), now).await,
                    None => Ok::<_, StorageError>(()),
                }
            })
            .await?;
    }
    reconcile::reconcile(app).await?;
    read_settings(app).await?;
    app.online.others().tell_all(ToAll::Changed);
    Ok(made)
}

fn first_version(built_in: &Builtin, activated: u64, now: Timestamp) -> PluginVersion {
    PluginVersion {
        slot: built_in.slot,
        name: built_in.name.to_owned(),
        version: 1,
        digest: Digest::of(built_in.bytes).0,
        size: changes::size_of(built_in.bytes),
        webhook: None,
        uploaded_at: now,
        uploaded_by: "switchhook".to_owned(),
        report: "{}".to_owned(),
        state: if built_in.active { VersionState::Active } else { VersionState::Inactive },
        activated: if built_in.active { activated } else { 0 },
        configuration: built_in.configuration.to_owned(),
    }
}

/// Reads what every tenant has set: another node may have changed it. What cannot be read changes nothing.
pub(crate) async fn read_settings(app: &App) -> Result<(), StorageError> {
    let _turn = app.bounds.turn().await;
    for (tenant, stored) in app.storage.tenants().settings().await? {
        match serde_json::from_str(&stored) {
            Ok(settings) => app.bounds.put(&tenant, settings),
            Err(wrong) => {
                error!(tenant.id = %tenant, %wrong, "a tenant's settings cannot be read");
                if !app.bounds.knows(&tenant) {
                    app.bounds.put(&tenant, TenantSettings::unreadable());
                }
            }
        }
    }
    Ok(())
}

/// What a tenant has set, as it is stored: what counts here may be a second older.
pub(crate) async fn settings(app: &App, tenant: &TenantId) -> Result<TenantSettings, FlowError> {
    Ok(read(app.storage.of(tenant).settings().await?)?)
}

fn read(stored: Option<String>) -> Result<TenantSettings, ErrorCode> {
    serde_json::from_str(&stored.unwrap_or_default()).or(Err(ErrorCode::Internal))
}

/// Changes what a tenant has set, in one transaction with the note of who did it, and in short what; counts
/// here at once, at other nodes within a second. Nothing changes if the change itself refuses what is stored.
pub(crate) async fn change_settings(
    app: &App,
    OfTenant { tenant, who }: OfTenant,
    (action, detail): (&'static str, String),
    change: impl FnOnce(&mut TenantSettings) -> Result<(), ErrorCode> + Send + 'static,
) -> Result<(), FlowError> {
    let (now, subject) = (app.now(), tenant.clone());
    let _turn = app.bounds.turn().await;
    let changed = app
        .storage
        .of(&tenant)
        .run(action, async move |tx| {
            let mut settings = read(tx.settings().await?)?;
            change(&mut settings)?;
            let json = serde_json::to_string(&settings).or(Err(ErrorCode::Internal))?;
            tx.set_settings(&json).await?;
            who.note_detail(tx, (action, subject.as_str()), detail, now).await?;
            Ok::<_, FlowError>(settings)
        })
        .await?;
    app.bounds.put(&tenant, changed);
    app.online.others().tell_all(ToAll::Changed);
    Ok(())
}

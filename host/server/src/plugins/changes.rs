//! Changes of a tenant's plugins: upload, activate, roll back, deactivate, configure, grant.
//!
//! Each reads like its sentence: load, check outside (compile, ask the plugin), then, one change at a
//! time, decide over the rows, commit with the audit, swap. What fails on the way changes nothing, and
//! the plugin that runs goes on. A swap follows its commit at once; a process that dies in between
//! loads what was committed.

use std::sync::Arc;

use switchhook_core::{
    policy::{Grants, Slot},
    rollout::{self, Leave, NotChanged},
    row::{PluginVersion, VersionState},
};
use switchhook_plugin_runtime::{
    ActivateError, ActivePlugin, CompileError, ConfigurationError, Digest, Examined, NotExamined, Report,
};
use switchhook_protocol::{
    error::ErrorCode,
    id::{MethodName, TenantId},
};
use switchhook_storage::{StorageError, Transaction};

use super::{
    load::{self, NotLoaded},
    webhook::{InvalidWebhook, Webhook},
};
use crate::{app::App, flows::FlowError, http::Administrator, limits, nodes::others::ToAll};

/// Which plugin of whom, and who changes it.
#[derive(Debug, Clone)]
pub(crate) struct Changing {
    pub(crate) who: Administrator,
    pub(crate) tenant: TenantId,
    pub(crate) slot: Slot,
    pub(crate) name: MethodName,
}

/// Why a change is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    NotChanged(#[from] NotChanged),
    #[error(transparent)]
    Overlap(#[from] ActivateError),
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    #[error(transparent)]
    NotLoaded(#[from] NotLoaded),
    #[error("{0}")]
    Report(Box<Report>),
    #[error(transparent)]
    NotExamined(#[from] NotExamined),
    #[error(transparent)]
    Webhook(#[from] InvalidWebhook),
    #[error("it has as many versions as a plugin may have ({})", limits::PLUGIN_VERSIONS)]
    TooManyVersions,
    #[error("the configuration is larger than {} bytes", limits::CONFIGURATION)]
    LargeConfiguration,
    #[error("{0}")]
    Grants(String),
    #[error(transparent)]
    Flow(#[from] FlowError),
}

impl From<StorageError> for Refused {
    fn from(error: StorageError) -> Self {
        Self::Flow(error.into())
    }
}

impl Refused {
    /// Its published code.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::NotChanged(NotChanged::Unknown) => ErrorCode::NotFound,
            Self::NotChanged(_) | Self::Overlap(_) | Self::TooManyVersions => ErrorCode::PluginState,
            Self::Configuration(_) => ErrorCode::ConfigurationRefused,
            Self::NotExamined(why) | Self::NotLoaded(NotLoaded::Compile(CompileError::Host(why))) => {
                match why {
                    NotExamined::Busy => ErrorCode::Overloaded,
                    NotExamined::Failed(_) => ErrorCode::Internal,
                }
            }
            Self::Report(_) | Self::NotLoaded(NotLoaded::Compile(_)) => ErrorCode::PluginRefused,
            Self::NotLoaded(_) | Self::Flow(_) => ErrorCode::Internal,
            Self::LargeConfiguration => ErrorCode::TooLarge,
            Self::Grants(_) | Self::Webhook(_) => ErrorCode::Malformed,
        }
    }
}

/// What is uploaded.
pub(crate) enum Upload {
    Component(Vec<u8>),
    Webhook(Webhook),
}

/// Stores a component or a webhook as a new, inactive version, after the host has looked at all of it.
pub(crate) async fn upload(app: &App, what: &Changing, upload: Upload) -> Result<PluginVersion, Refused> {
    let examined = examine(app, what, &upload).await?;
    let Examined { report, plugin: Some(plugin) } = examined else {
        return Err(Refused::Report(Box::new(examined.report)));
    };
    let storage = app.storage.of(&what.tenant);
    let former = storage.plugins().of(what.slot, what.name.as_str()).await?;
    let inherited = former.last().map_or("{}", |former| &former.configuration).to_owned();
    // What the version before was told may be nothing to this one: it then begins with none.
    let accepted = app.plugins.runtime.validate(&plugin, &inherited).await.is_ok();
    let row = PluginVersion {
        slot: what.slot,
        name: what.name.to_string(),
        version: 0,
        digest: report.digest.0,
        size: u64::try_from(report.size).unwrap_or(u64::MAX),
        webhook: upload.webhook().map(|webhook| webhook.seal(app, &what.tenant)),
        uploaded_at: app.now(),
        uploaded_by: what.who.label().to_owned(),
        // Text, numbers and lists: there is nothing in it that JSON does not have.
        report: serde_json::to_string(&report).unwrap_or_default(),
        state: VersionState::Inactive,
        activated: 0,
        configuration: if accepted { inherited } else { "{}".to_owned() },
    };
    let what = what.clone();
    storage.run("plugin-upload", async move |tx| store(tx, &what, row, upload).await).await
}

async fn examine(app: &App, what: &Changing, upload: &Upload) -> Result<Examined, Refused> {
    match upload {
        Upload::Component(bytes) => {
            let grants = app.granted.of(&what.tenant, what.slot, &what.name);
            Ok(app.plugins.examine(&what.tenant, bytes, what.slot, &grants).await?)
        }
        Upload::Webhook(webhook) => {
            webhook.check()?;
            let asker = Arc::new(webhook.clone().asker(&app.outbound));
            Ok(app.plugins.runtime.examine_webhook(webhook.digest(), asker, what.slot).await)
        }
    }
}

impl Upload {
    const fn webhook(&self) -> Option<&Webhook> {
        match self {
            Self::Component(_) => None,
            Self::Webhook(webhook) => Some(webhook),
        }
    }
}

async fn store(
    tx: &mut Transaction<'_>,
    what: &Changing,
    row: PluginVersion,
    upload: Upload,
) -> Result<PluginVersion, Refused> {
    let all = tx.plugin_versions(row.slot, &row.name).await?;
    let last = all.last().map_or(0, |last| last.version);
    if last >= limits::PLUGIN_VERSIONS {
        return Err(Refused::TooManyVersions);
    }
    let row = PluginVersion { version: last.saturating_add(1), ..row };
    if let Upload::Component(bytes) = upload {
        tx.put_artifact(&row.digest, bytes).await?;
    }
    tx.put_plugin_version(&row).await?;
    let detail = format!("version {}, {}", row.version, Digest(row.digest));
    note(tx, what, "plugin.upload", detail, row.uploaded_at).await?;
    Ok(row)
}

/// Makes a version the one that is asked from now on.
pub(crate) async fn activate(
    app: &App,
    what: &Changing,
    version: u32,
    configuration: Option<String>,
) -> Result<(), Refused> {
    let row = find(app, what, version).await?;
    let configuration = configuration.unwrap_or_else(|| row.configuration.clone());
    let row = PluginVersion { configuration, ..row };
    let plugin = load::version(app, &what.tenant, &row).await?;
    validate(app, &plugin, &row.configuration).await?;
    let _turn = app.plugins.turn().await;
    app.plugins.slots.could_activate(&what.tenant, &plugin)?;
    let decide = move |all: &[PluginVersion]| {
        rollout::activate(all, (row.slot, &row.name, row.version), &row.configuration)
    };
    let changed = commit(app, what, "plugin.activate", decide).await?;
    swap(app, what, &changed, Some(plugin));
    Ok(())
}

/// Goes back to the version before.
pub(crate) async fn rollback(app: &App, what: &Changing, leave: Leave) -> Result<(), Refused> {
    let _turn = app.plugins.turn().await;
    let all = app.storage.of(&what.tenant).plugins().list().await?;
    let planned = rollout::rollback(&all, (what.slot, what.name.as_str()), leave)?;
    let Some(before) = planned.last() else { return Err(NotChanged::NothingBefore.into()) };
    let plugin = load::version(app, &what.tenant, before).await?;
    let (slot, name) = (what.slot, what.name.clone());
    let decide = move |all: &[PluginVersion]| rollout::rollback(all, (slot, name.as_str()), leave);
    let changed = commit(app, what, "plugin.rollback", decide).await?;
    swap(app, what, &changed, Some(plugin));
    Ok(())
}

/// Leaves the slot, or the method's name, to the declared default.
pub(crate) async fn deactivate(app: &App, what: &Changing, leave: Leave) -> Result<(), Refused> {
    let _turn = app.plugins.turn().await;
    let (slot, name) = (what.slot, what.name.clone());
    let decide = move |all: &[PluginVersion]| rollout::deactivate(all, (slot, name.as_str()), leave);
    let changed = commit(app, what, "plugin.deactivate", decide).await?;
    swap(app, what, &changed, None);
    Ok(())
}

/// Gives a version another configuration, which it has accepted; the active one uses it at once.
pub(crate) async fn configure(
    app: &App,
    what: &Changing,
    version: Option<u32>,
    configuration: String,
) -> Result<(), Refused> {
    if configuration.len() > limits::CONFIGURATION {
        return Err(Refused::LargeConfiguration);
    }
    let _turn = app.plugins.turn().await;
    let row = match version {
        Some(version) => find(app, what, version).await?,
        None => find_active(app, what).await?,
    };
    let row = PluginVersion { configuration, ..row };
    let plugin = load::version(app, &what.tenant, &row).await?;
    validate(app, &plugin, &row.configuration).await?;
    let changed = row.clone();
    commit(app, what, "plugin.configure", move |_| Ok(vec![changed.clone()])).await?;
    if row.state == VersionState::Active {
        app.plugins.slots.activate(&what.tenant, plugin)?;
    }
    Ok(())
}

/// Replaces what a plugin is granted.
pub(crate) async fn grant(app: &App, what: &Changing, grants: Grants) -> Result<(), Refused> {
    grants.check().map_err(|wrong| Refused::Grants(wrong.to_string()))?;
    if grants.key_value_bytes > limits::KEY_VALUE || grants.fetches_per_minute > limits::FETCHES_PER_MINUTE {
        let (bytes, fetches) = (limits::KEY_VALUE, limits::FETCHES_PER_MINUTE);
        let why = format!("at most {bytes} bytes of pairs and {fetches} requests a minute can be granted");
        return Err(Refused::Grants(why));
    }
    let text = serde_json::to_string(&grants).map_err(|error| Refused::Grants(error.to_string()))?;
    let _turn = app.plugins.turn().await;
    let (now, noted) = (app.now(), what.clone());
    let storage = app.storage.of(&what.tenant);
    storage
        .run("plugin-grant", async move |tx| {
            tx.put_plugin_grants(noted.slot, noted.name.as_str(), &text).await?;
            note(tx, &noted, "plugin.grant", text.clone(), now).await
        })
        .await?;
    app.granted.put(&what.tenant, what.slot, &what.name, grants);
    app.online.others().tell_all(ToAll::Changed);
    Ok(())
}

/// Bytes as they are counted.
pub(crate) fn size_of(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

async fn find(app: &App, what: &Changing, version: u32) -> Result<PluginVersion, Refused> {
    let all = app.storage.of(&what.tenant).plugins().of(what.slot, what.name.as_str()).await?;
    let found = all.into_iter().find(|row| row.version == version);
    Ok(found.ok_or(NotChanged::Unknown)?)
}

async fn find_active(app: &App, what: &Changing) -> Result<PluginVersion, Refused> {
    let all = app.storage.of(&what.tenant).plugins().of(what.slot, what.name.as_str()).await?;
    let found = all.into_iter().find(|row| row.state == VersionState::Active);
    Ok(found.ok_or(NotChanged::Inactive)?)
}

async fn validate(app: &App, plugin: &ActivePlugin, configuration: &str) -> Result<(), Refused> {
    if configuration.len() > limits::CONFIGURATION {
        return Err(Refused::LargeConfiguration);
    }
    Ok(app.plugins.runtime.validate(&plugin.plugin, configuration).await?)
}

/// Decides over the rows as they are in the transaction, and stores what changes.
async fn commit(
    app: &App,
    what: &Changing,
    action: &'static str,
    decide: impl Fn(&[PluginVersion]) -> Result<Vec<PluginVersion>, NotChanged> + Send + 'static,
) -> Result<Vec<PluginVersion>, Refused> {
    let (now, noted) = (app.now(), what.clone());
    let storage = app.storage.of(&what.tenant);
    let changed = storage
        .run(action, async move |tx| {
            let changed = decide(&tx.all_plugin_versions().await?)?;
            for row in &changed {
                tx.set_plugin_version(row).await?;
            }
            let told: Vec<String> = changed.iter().map(told).collect();
            note(tx, &noted, action, told.join(", "), now).await?;
            Ok::<_, Refused>(changed)
        })
        .await?;
    app.online.others().tell_all(ToAll::Changed);
    Ok(changed)
}

fn told(row: &PluginVersion) -> String {
    format!("{} {} {:?}", row.name, row.version, row.state).to_lowercase()
}

async fn note(
    tx: &mut Transaction<'_>,
    what: &Changing,
    action: &str,
    detail: String,
    now: switchhook_protocol::time::Timestamp,
) -> Result<(), Refused> {
    let subject = format!("{}/{}", what.slot, what.name);
    Ok(what.who.note_detail(tx, (action, &subject), detail, now).await?)
}

/// Makes what was committed the truth of this process.
fn swap(app: &App, what: &Changing, changed: &[PluginVersion], plugin: Option<ActivePlugin>) {
    let slots = &app.plugins.slots;
    if let Some(plugin) = plugin
        && let Err(overlap) = slots.activate(&what.tenant, plugin)
    {
        tracing::error!(tenant.id = %what.tenant, %overlap, "a committed activation cannot be asked");
    }
    for row in changed {
        let Ok(name) = row.name.parse() else { continue };
        match row.state {
            VersionState::Active => {}
            VersionState::Draining => slots.retire(&what.tenant, &name, row.version),
            VersionState::Inactive | VersionState::Killed => {
                slots.forget(&what.tenant, row.slot, &name, row.version);
            }
        }
    }
}

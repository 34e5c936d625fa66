//! What there is: plugins, versions, configuration, grants, lines of log, metrics.
#![expect(unused_qualifications, reason = "what the macro writes for parameters")]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchhook_core::{
    policy::{Grants, Slot},
    row::{PluginVersion, VersionState},
};
use switchhook_plugin_runtime::Digest;
use switchhook_protocol::{error::ErrorCode, time::Timestamp};
use switchhook_storage::PluginLine;
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};

use super::super::{OfTenant, schemas};
use crate::{
    app::App,
    http::{
        extract::{Path, Query},
        problem::Problem,
    },
    limits,
    plugins::{changes::Changing, counts::Counts},
};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Plugins {
    plugins: Vec<Summary>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PluginSummary)]
struct Summary {
    #[schema(value_type = schemas::Slot)]
    slot: Slot,
    name: String,
    active_version: Option<u32>,
    versions: Vec<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Plugin {
    #[schema(value_type = schemas::Slot)]
    slot: Slot,
    name: String,
    active_version: Option<u32>,
    versions: Vec<Version>,
    #[schema(value_type = schemas::Grants)]
    grants: Grants,
}

#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the API's words")]
#[schema(as = PluginVersion)]
pub(crate) struct Version {
    version: u32,
    digest: String,
    kind: &'static str,
    size: u64,
    #[schema(value_type = u64)]
    uploaded_at: Timestamp,
    uploaded_by: String,
    #[schema(value_type = schemas::VersionState)]
    state: VersionState,
    configuration: Value,
    /// What the host found in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schemas::Report>)]
    report: Option<Value>,
}

/// What stands below the plugin in an address.
#[derive(Deserialize)]
pub(crate) struct Below {
    version: u32,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Lines {
    #[serde(default)]
    after: u64,
    limit: Option<u32>,
    /// How long to wait for a line, in milliseconds.
    #[serde(default)]
    wait_ms: u64,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PluginLog)]
pub(crate) struct Log {
    lines: Vec<Line>,
    /// Where the next page begins.
    next: u64,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PluginLine)]
struct Line {
    position: u64,
    #[schema(value_type = u64)]
    at: Timestamp,
    version: u32,
    subject: String,
    level: String,
    text: String,
}

/// Lists the plugins of a tenant.
#[utoipa::path(get, path = "/tenants/{tenant}/plugins", operation_id = "list_plugins",
    responses((status = OK, body = Plugins, description = "Plugins by slot and name.")))]
pub(crate) async fn all(
    State(app): State<Arc<App>>,
    OfTenant { tenant, .. }: OfTenant,
) -> Result<Json<Plugins>, Problem> {
    let mut plugins: BTreeMap<(Slot, String), Summary> = BTreeMap::new();
    for row in app.storage.of(&tenant).plugins().list().await? {
        let summary = plugins.entry((row.slot, row.name.clone())).or_insert_with(|| Summary {
            slot: row.slot,
            name: row.name,
            active_version: None,
            versions: vec![],
        });
        summary.versions.push(row.version);
        if row.state == VersionState::Active {
            summary.active_version = Some(row.version);
        }
    }
    Ok(Json(Plugins { plugins: plugins.into_values().collect() }))
}

/// Shows a plugin with its versions.
#[utoipa::path(get, path = "/tenants/{tenant}/plugins/{slot}/{name}", operation_id = "show_plugin",
    responses((status = OK, body = Plugin, description = "Its versions and grants.")))]
pub(crate) async fn one(State(app): State<Arc<App>>, what: Changing) -> Result<Json<Plugin>, Problem> {
    let rows = versions(&app, &what).await?;
    let active = rows.iter().find(|row| row.state == VersionState::Active).map(|row| row.version);
    let grants = Grants::clone(&app.granted.of(&what.tenant, what.slot, &what.name));
    let versions = rows.into_iter().map(shown).collect();
    Ok(Json(Plugin {
        slot: what.slot,
        name: what.name.to_string(),
        active_version: active,
        versions,
        grants,
    }))
}

/// Shows a version with its report.
#[utoipa::path(get, path = "/tenants/{tenant}/plugins/{slot}/{name}/versions/{version}", operation_id = "show_plugin_version",
    responses((status = OK, body = Version, description = "The version, with what the host found.")))]
pub(crate) async fn version(
    State(app): State<Arc<App>>,
    what: Changing,
    Path(Below { version }): Path<Below>,
) -> Result<Json<Version>, Problem> {
    let rows = versions(&app, &what).await?;
    let row = rows.into_iter().find(|row| row.version == version).ok_or(ErrorCode::NotFound)?;
    let report = serde_json::from_str(&row.report).ok();
    Ok(Json(Version { report, ..shown(row) }))
}

/// Shows what the active version is told.
#[utoipa::path(get, path = "/tenants/{tenant}/plugins/{slot}/{name}/configuration", operation_id = "show_plugin_configuration",
    responses((status = OK, body = Object, description = "Its configuration.")))]
pub(crate) async fn configuration(
    State(app): State<Arc<App>>,
    what: Changing,
) -> Result<Json<Value>, Problem> {
    let rows = versions(&app, &what).await?;
    let row = rows.into_iter().find(|row| row.state == VersionState::Active).ok_or(ErrorCode::NotFound)?;
    Ok(Json(json(&row.configuration)))
}

/// Shows what a plugin is granted.
#[utoipa::path(get, path = "/tenants/{tenant}/plugins/{slot}/{name}/grants", operation_id = "show_plugin_grants",
    responses((status = OK, body = schemas::Grants, description = "Its grants.")))]
pub(crate) async fn grants(State(app): State<Arc<App>>, what: Changing) -> Result<Json<Grants>, Problem> {
    versions(&app, &what).await?;
    Ok(Json(Grants::clone(&app.granted.of(&what.tenant, what.slot, &what.name))))
}

/// The lines after a position; waits for one, if asked to.
#[utoipa::path(get, path = "/tenants/{tenant}/plugins/{slot}/{name}/logs", operation_id = "list_plugin_log",
    params(Lines), responses((status = OK, body = Log, description = "Lines, the oldest first.")))]
pub(crate) async fn logs(
    State(app): State<Arc<App>>,
    what: Changing,
    Query(wanted): Query<Lines>,
) -> Result<Json<Log>, Problem> {
    let limit = wanted.limit.unwrap_or(limits::PAGE).min(limits::PAGE);
    let storage = app.storage.of(&what.tenant);
    let log = storage.plugin_log(what.slot, what.name.as_str());
    // Subscribed before the first look: a line that comes in between is not waited for in vain.
    let mut written = app.plugins.lines.written();
    let mut found = log.after(wanted.after, limit).await?;
    if found.is_empty() && wanted.wait_ms > 0 {
        let patience = Duration::from_millis(wanted.wait_ms).min(limits::LONG_POLL);
        let more = async {
            while found.is_empty() && written.changed().await.is_ok() {
                found = log.after(wanted.after, limit).await?;
            }
            Ok::<_, Problem>(())
        };
        // Who waited in vain, or until the host stops, is answered with no lines.
        if let Some(Ok(more)) = app.stop.run_until_cancelled(timeout(patience, more)).await {
            more?;
        }
    }
    let lines: Vec<Line> = found.into_iter().map(line).collect();
    let next = lines.last().map_or(wanted.after, |last| last.position);
    Ok(Json(Log { lines, next }))
}

/// Shows how calls of a plugin went.
#[utoipa::path(get, path = "/tenants/{tenant}/plugins/{slot}/{name}/metrics", operation_id = "show_plugin_metrics",
    responses((status = OK, body = Counts, description = "Since the server started.")))]
pub(crate) async fn metrics(State(app): State<Arc<App>>, what: Changing) -> Result<Json<Counts>, Problem> {
    versions(&app, &what).await?;
    Ok(Json(app.plugins.counts.of(&what.tenant, what.slot, what.name.as_str())))
}

async fn versions(app: &App, what: &Changing) -> Result<Vec<PluginVersion>, Problem> {
    let rows = app.storage.of(&what.tenant).plugins().of(what.slot, what.name.as_str()).await?;
    if rows.is_empty() { Err(ErrorCode::NotFound.into()) } else { Ok(rows) }
}

fn shown(row: PluginVersion) -> Version {
    Version {
        version: row.version,
        digest: Digest(row.digest).to_string(),
        kind: if row.webhook.is_some() { "webhook" } else { "component" },
        size: row.size,
        uploaded_at: row.uploaded_at,
        uploaded_by: row.uploaded_by,
        state: row.state,
        configuration: json(&row.configuration),
        report: None,
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn line((position, line): (u64, PluginLine)) -> Line {
    let PluginLine { at, version, subject, level, text } = line;
    Line { position, at, version, subject, level, text }
}

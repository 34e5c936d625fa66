//! Changes, as HTTP asks for them.
#![expect(unused_qualifications, reason = "what the macro writes for parameters")]

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchhook_core::{policy::Grants, rollout::Leave, row::VersionState};
use utoipa::{IntoParams, ToSchema};

use super::super::schemas;
use crate::{
    app::App,
    http::{
        extract::{Body, Query},
        problem::Problem,
    },
    plugins::changes::{self, Changing},
};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Activate {
    version: u32,
    /// What it is told; without it, what stands with the version.
    #[serde(default)]
    configuration: Option<Value>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LeaveVersion)]
pub(crate) struct Left {
    /// What becomes of attempts that began with the version that is left.
    #[serde(default)]
    #[schema(value_type = schemas::Leave)]
    mode: Leave,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfVersion {
    version: Option<u32>,
}

/// Which version of the slot, or of the method, is asked from now on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ActiveVersion)]
pub(crate) struct ActiveVersion {
    /// Its name; a rollback may lead to a plugin of another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    active_name: Option<String>,
    active_version: Option<u32>,
}

/// Makes a version the one that is asked from now on.
#[utoipa::path(post, path = "/tenants/{tenant}/plugins/{slot}/{name}/activate", operation_id = "activate_plugin", request_body = Activate,
    responses((status = OK, body = ActiveVersion, description = "Which version is active.")))]
pub(crate) async fn activate(
    State(app): State<Arc<App>>,
    what: Changing,
    Body(wanted): Body<Activate>,
) -> Result<Json<ActiveVersion>, Problem> {
    let configuration = wanted.configuration.map(|configuration| configuration.to_string());
    changes::activate(&app, &what, wanted.version, configuration).await?;
    active(&app, &what).await
}

/// Goes back to the version that was active before.
#[utoipa::path(post, path = "/tenants/{tenant}/plugins/{slot}/{name}/rollback", operation_id = "roll_plugin_back", request_body = Left,
    responses((status = OK, body = ActiveVersion, description = "Which version is active.")))]
pub(crate) async fn rollback(
    State(app): State<Arc<App>>,
    what: Changing,
    Body(left): Body<Left>,
) -> Result<Json<ActiveVersion>, Problem> {
    changes::rollback(&app, &what, left.mode).await?;
    active(&app, &what).await
}

/// Leaves the slot, or the method's name, to the declared default.
#[utoipa::path(post, path = "/tenants/{tenant}/plugins/{slot}/{name}/deactivate", operation_id = "deactivate_plugin", request_body = Left,
    responses((status = OK, body = ActiveVersion, description = "Which version is active.")))]
pub(crate) async fn deactivate(
    State(app): State<Arc<App>>,
    what: Changing,
    Body(left): Body<Left>,
) -> Result<Json<ActiveVersion>, Problem> {
    changes::deactivate(&app, &what, left.mode).await?;
    active(&app, &what).await
}

/// Tells a version something else, which it judges.
#[utoipa::path(put, path = "/tenants/{tenant}/plugins/{slot}/{name}/configuration", operation_id = "configure_plugin", request_body = Object,
    params(OfVersion), responses((status = OK, body = Object, description = "What it is told now.")))]
pub(crate) async fn configure(
    State(app): State<Arc<App>>,
    what: Changing,
    Query(of): Query<OfVersion>,
    Body(configuration): Body<Value>,
) -> Result<Json<Value>, Problem> {
    changes::configure(&app, &what, of.version, configuration.to_string()).await?;
    Ok(Json(configuration))
}

/// Replaces what a plugin is granted.
#[utoipa::path(put, path = "/tenants/{tenant}/plugins/{slot}/{name}/grants", operation_id = "grant_plugin", request_body = schemas::Grants,
    responses((status = OK, body = schemas::Grants, description = "Its grants.")))]
pub(crate) async fn grant(
    State(app): State<Arc<App>>,
    what: Changing,
    Body(grants): Body<Grants>,
) -> Result<Json<Grants>, Problem> {
    changes::grant(&app, &what, grants.clone()).await?;
    Ok(Json(grants))
}

async fn active(app: &App, what: &Changing) -> Result<Json<ActiveVersion>, Problem> {
    let rows = app.storage.of(&what.tenant).plugins().list().await?;
    let by_name = what.slot == switchhook_core::policy::Slot::RegistrationMethod;
    let active = rows.into_iter().find(|row| {
        row.slot == what.slot
            && row.state == VersionState::Active
            && (!by_name || row.name == what.name.as_str())
    });
    let (active_name, active_version) = active.map(|row| (row.name, row.version)).unzip();
    Ok(Json(ActiveVersion { active_name, active_version }))
}

//! Built-in plugins of this host that a tenant may have.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use switchhook_core::{policy::Slot, row::VersionState};
use switchhook_protocol::error::ErrorCode;
use utoipa::ToSchema;

use crate::{
    app::App,
    http::{
        admin::{OfTenant, schemas},
        problem::Problem,
    },
    plugins::built_in::{self, Offered},
};

/// A built-in plugin, as the tenant has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BuiltInPlugin)]
pub(crate) struct Shown {
    #[schema(value_type = schemas::Slot)]
    slot: Slot,
    name: &'static str,
    /// The version that has the component of this host.
    version: u32,
    #[schema(value_type = schemas::VersionState)]
    state: VersionState,
    /// Whether it was stored just now.
    new: bool,
}

/// Stores the built-in plugins of this host that the tenant does not have: inactive, as an upload. Nothing that is asked
/// changes.
#[utoipa::path(post, path = "/tenants/{tenant}/built-in-plugins", operation_id = "offer_built_in_plugins",
    responses((status = OK, body = Vec<Shown>, description = "All built-in plugins of this host, as the tenant has them.")))]
pub(crate) async fn offer(State(app): State<Arc<App>>, of: OfTenant) -> Result<Json<Vec<Shown>>, Problem> {
    let _place = app.uploads.take(&of.tenant).ok_or(ErrorCode::Overloaded)?;
    let offered = built_in::offer(&app, &of).await?.into_iter();
    let shown = |Offered { slot, name, version, state, new }| Shown { slot, name, version, state, new };
    Ok(Json(offered.map(shown).collect()))
}

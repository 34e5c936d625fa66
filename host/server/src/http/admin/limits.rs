//! How much a tenant's devices may do: below the operator's bounds, the tenant's own.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use switchhook_core::limits::{Limits, OwnLimits};
use switchhook_protocol::error::ErrorCode;
use utoipa::ToSchema;

use super::{OfTenant, schemas};
use crate::{
    app::App,
    http::{extract::Body, problem::Problem},
    tenants,
};

/// The bounds of a tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LimitsOfTenant)]
pub(crate) struct Shown {
    /// What the tenant has set for itself.
    #[schema(value_type = schemas::Limits)]
    own: OwnLimits,
    /// The operator's: nothing counts above.
    #[schema(value_type = schemas::Limits)]
    most: Limits,
    /// What counts.
    #[schema(value_type = schemas::Limits)]
    in_force: Limits,
}

/// Shows how much the tenant's devices may do.
#[utoipa::path(get, path = "/tenants/{tenant}/limits", operation_id = "show_limits",
    responses((status = OK, body = Shown, description = "The tenant's own bounds, the operator's, and what counts.")))]
pub(crate) async fn show(State(app): State<Arc<App>>, OfTenant { tenant, .. }: OfTenant) -> Json<Shown> {
    let of_tenant = app.bounds.of(&tenant);
    Json(Shown { own: of_tenant.settings.limits, most: *app.bounds.most(), in_force: of_tenant.limits })
}

/// Replaces what the tenant has set for itself; a bound that is missing is the operator's.
#[utoipa::path(put, path = "/tenants/{tenant}/limits", operation_id = "put_limits", request_body = schemas::Limits,
    responses((status = NO_CONTENT, description = "They count: here at once, on other nodes within half a minute.")))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    of: OfTenant,
    Body(own): Body<OwnLimits>,
) -> Result<StatusCode, Problem> {
    own.check(app.bounds.most()).map_err(|above| Problem::new(ErrorCode::Forbidden, above.to_string()))?;
    tenants::change_settings(&app, of, "limits.put", move |settings| settings.limits = own).await?;
    Ok(StatusCode::NO_CONTENT)
}

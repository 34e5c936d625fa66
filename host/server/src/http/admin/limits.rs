//! How much a tenant's devices may do, below the operator's bounds.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
};
use serde::Serialize;
use switchhook_core::{
    limits::{Limits, OwnLimits, RefusedLimit},
    tenant::TenantSettings,
};
use switchhook_protocol::error::ErrorCode;
use utoipa::ToSchema;

use super::{OfTenant, schemas};
use crate::{
    app::App,
    http::{
        entity_tag::{EntityTag, IfMatch},
        extract::Body,
        problem::Problem,
    },
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
    responses((status = OK, body = Shown, description = "The tenant's own bounds, the operator's, and what counts.",
        headers(("ETag" = String, description = "Names the tenant's own.")))))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    OfTenant { tenant, .. }: OfTenant,
) -> Result<impl IntoResponse, Problem> {
    let (own, most) = (tenants::settings(&app, &tenant).await?.limits, *app.bounds.most());
    let in_force = own.below(&most);
    Ok((EntityTag::of(&own).header(), Json(Shown { own, most, in_force })))
}

/// Replaces what the tenant has set for itself; a bound that is missing is the operator's.
#[utoipa::path(put, path = "/tenants/{tenant}/limits", operation_id = "put_limits", params(IfMatch),
    request_body = schemas::Limits,
    responses((status = NO_CONTENT, description = "They count here at once, on other nodes within a second.")))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    of: OfTenant,
    headers: HeaderMap,
    Body(own): Body<OwnLimits>,
) -> Result<StatusCode, Problem> {
    own.check(app.bounds.most()).map_err(|refused| {
        let code = match refused {
            RefusedLimit::Unknown(_) => ErrorCode::Malformed,
            RefusedLimit::AboveOperators { .. } => ErrorCode::Forbidden,
        };
        Problem::new(code, refused.to_string())
    })?;
    let detail = serde_json::to_string(&own).or(Err(ErrorCode::Internal))?;
    let meant = IfMatch::of(&headers);
    let change = move |settings: &mut TenantSettings| {
        meant.check(&EntityTag::of(&settings.limits)).map(|()| settings.limits = own)
    };
    tenants::change_settings(&app, of, ("limits.put", detail), change).await?;
    Ok(StatusCode::NO_CONTENT)
}

//! Who may ring whom, by the tenant's list.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
};
use switchhook_core::{
    may_ring::{self, RingRule},
    tenant::TenantSettings,
};
use switchhook_protocol::error::ErrorCode;

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

/// Shows who may ring whom.
#[utoipa::path(get, path = "/tenants/{tenant}/may-ring", operation_id = "show_may_ring",
    responses((status = OK, body = Vec<schemas::RingRule>, description = "The list; empty: everybody may ring everybody.",
        headers(("ETag" = String, description = "Names this list.")))))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    OfTenant { tenant, .. }: OfTenant,
) -> Result<impl IntoResponse, Problem> {
    let rules = tenants::settings(&app, &tenant).await?.may_ring;
    Ok((EntityTag::of(&rules).header(), Json(rules)))
}

/// Replaces the list of who may ring whom.
#[utoipa::path(put, path = "/tenants/{tenant}/may-ring", operation_id = "put_may_ring", params(IfMatch),
    request_body = Vec<schemas::RingRule>,
    responses((status = NO_CONTENT, description = "It counts here at once, on other nodes within a second.")))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    of: OfTenant,
    headers: HeaderMap,
    Body(rules): Body<Vec<RingRule>>,
) -> Result<StatusCode, Problem> {
    may_ring::check(&rules).map_err(|wrong| Problem::new(ErrorCode::Malformed, wrong.to_string()))?;
    // The list itself names people: the audit does not.
    let detail = format!("{} entries", rules.len());
    let meant = IfMatch::of(&headers);
    let change = move |settings: &mut TenantSettings| {
        meant.check(&EntityTag::of(&settings.may_ring)).map(|()| settings.may_ring = rules)
    };
    tenants::change_settings(&app, of, ("may-ring.put", detail), change).await?;
    Ok(StatusCode::NO_CONTENT)
}

//! Tenants: a new one has the built-in plugins active.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use switchhook_protocol::id::TenantId;
use utoipa::ToSchema;

use super::Operator;
use crate::{
    app::App,
    http::{extract::Body, problem::Problem},
    tenants,
};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTenant {
    #[schema(value_type = String)]
    tenant: TenantId,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tenants {
    #[schema(value_type = Vec<String>)]
    tenants: Vec<TenantId>,
}

/// Makes a tenant, with the built-in plugins active.
#[utoipa::path(post, path = "/tenants", operation_id = "create_tenant", request_body = NewTenant,
    responses((status = CREATED, description = "It is made."), (status = OK, description = "It was there.")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Operator(who): Operator,
    Body(new): Body<NewTenant>,
) -> Result<StatusCode, Problem> {
    let made = tenants::create(&app, &new.tenant, Some(who)).await?;
    Ok(if made { StatusCode::CREATED } else { StatusCode::OK })
}

/// Lists the tenants.
#[utoipa::path(get, path = "/tenants", operation_id = "list_tenants",
    responses((status = OK, body = Tenants, description = "All tenants.")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Operator(_): Operator,
) -> Result<Json<Tenants>, Problem> {
    Ok(Json(Tenants { tenants: app.storage.tenants().list().await? }))
}

//! Whom a tenant texts, and how much of it in a day.

use std::sync::Arc;

use axum::{Json, extract::State};
use switchhook_core::transit::policy::TextPolicy;
use switchhook_protocol::error::ErrorCode;

use super::{OfTenant, schemas};
use crate::{
    app::App,
    http::{extract::Body, problem::Problem},
};

/// Shows the policy.
#[utoipa::path(get, path = "/tenants/{tenant}/text-policy", operation_id = "show_text_policy",
    responses((status = OK, body = schemas::TextPolicy, description = "The policy.")))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    OfTenant { tenant, .. }: OfTenant,
) -> Result<Json<TextPolicy>, Problem> {
    Ok(Json(app.storage.of(&tenant).text_policy().await?))
}

/// Sets the policy.
#[utoipa::path(put, path = "/tenants/{tenant}/text-policy", operation_id = "put_text_policy",
    request_body = schemas::TextPolicy,
    responses((status = OK, body = schemas::TextPolicy, description = "The policy.")))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    OfTenant { who, tenant }: OfTenant,
    Body(policy): Body<TextPolicy>,
) -> Result<Json<TextPolicy>, Problem> {
    policy.check().map_err(|why| Problem::new(ErrorCode::Malformed, why.to_string()))?;
    let (row, now) = (policy.clone(), app.now());
    app.storage
        .of(&tenant)
        .run("text-policy", async move |tx| {
            tx.put_text_policy(&row).await?;
            who.note(tx, ("text-policy.put", ""), now).await
        })
        .await?;
    Ok(Json(policy))
}

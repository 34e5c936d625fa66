//! The authority whose certificates a tenant's devices need; without one they need none (INV-16).

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use switchhook_protocol::error::ErrorCode;
use switchhook_storage::StorageError;
use utoipa::ToSchema;

use super::OfTenant;
use crate::{
    app::App,
    authority,
    http::{extract::Body, problem::Problem},
};

#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ClientAuthority)]
pub(crate) struct Authority {
    /// Its certificates, in PEM; 1 to 8.
    certificates: String,
}

/// Shows the authority of the tenant's devices.
#[utoipa::path(get, path = "/tenants/{tenant}/client-authority", operation_id = "show_client_authority",
    responses((status = OK, body = Authority, description = "The authority; a problem where there is none.")))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    OfTenant { tenant, .. }: OfTenant,
) -> Result<Json<Authority>, Problem> {
    let certificates = app.storage.of(&tenant).client_authority().await?;
    Ok(Json(Authority { certificates: certificates.ok_or(ErrorCode::NotFound)? }))
}

/// Sets the authority: from now on devices without a certificate of it are refused.
#[utoipa::path(put, path = "/tenants/{tenant}/client-authority", operation_id = "put_client_authority",
    request_body = Authority, responses((status = NO_CONTENT, description = "It is set.")))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    OfTenant { who, tenant }: OfTenant,
    Body(Authority { certificates }): Body<Authority>,
) -> Result<StatusCode, Problem> {
    if !app.asks_for_certificates {
        let why =
            "this server does not ask clients for certificates: tls.client_certificates in its settings";
        return Err(Problem::new(ErrorCode::Unsupported, why));
    }
    let count = authority::count(&certificates)
        .map_err(|wrong| Problem::new(ErrorCode::Malformed, wrong.to_string()))?;
    let now = app.now();
    app.storage
        .of(&tenant)
        .run("client-authority", async move |tx| {
            tx.put_client_authority(&certificates, now).await?;
            let detail = format!("{count} certificate(s)");
            who.note_detail(tx, ("client-authority.put", ""), detail, now).await
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes the authority: devices need no certificate.
#[utoipa::path(delete, path = "/tenants/{tenant}/client-authority", operation_id = "remove_client_authority",
    responses((status = NO_CONTENT, description = "There is none.")))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    OfTenant { who, tenant }: OfTenant,
) -> Result<StatusCode, Problem> {
    let now = app.now();
    let removed = app
        .storage
        .of(&tenant)
        .run("client-authority", async move |tx| {
            let removed = tx.remove_client_authority().await?;
            who.note(tx, ("client-authority.remove", ""), now).await?;
            Ok::<_, StorageError>(removed)
        })
        .await?;
    if removed { Ok(StatusCode::NO_CONTENT) } else { Err(ErrorCode::NotFound.into()) }
}

//! Administrators' tokens: shown once, kept as a hash, with an expiry, revocable.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, http::StatusCode};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    error::ErrorCode,
    id::{ApplicationId, RelayHostId, TenantId},
    time::Timestamp,
};
use switchhook_storage::AdminToken;
use utoipa::ToSchema;

use super::{OfTenant, Operator};
use crate::{
    app::App,
    http::{
        extract::{Body, Path},
        problem::Problem,
    },
    relay_hosts::built_in::is_built_in,
    secrets,
};

/// Life of a token that is not told another one.
const LIFE: Duration = Duration::from_hours(90 * 24);

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// What it is for.
    label: String,
    /// Of a tenant: it registers identifiers for this application, and does nothing else.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    application: Option<ApplicationId>,
    /// Of the operator's: it says of this relay host where it is, and does nothing else.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    relay_host: Option<RelayHostId>,
    /// How long it counts, in milliseconds.
    #[serde(default)]
    expires_in_ms: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub(crate) struct Shown {
    id: String,
    label: String,
    /// It registers for this application, and does nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    application: Option<ApplicationId>,
    /// It speaks for this relay host, and does nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    relay_host: Option<RelayHostId>,
    #[schema(value_type = Option<u64>)]
    expires_at: Option<Timestamp>,
    revoked: bool,
    /// Only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// What stands below all tokens in an address.
#[derive(Deserialize)]
pub(crate) struct Below {
    id: String,
}

/// Makes a token for the tenant alone.
#[utoipa::path(post, path = "/tenants/{tenant}/tokens", operation_id = "create_token", request_body = NewToken,
    responses((status = CREATED, body = Shown, description = "The token, shown once.")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    OfTenant { who, tenant }: OfTenant,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Json<Shown>), Problem> {
    let (row, made) = mint(&app, Some(tenant.clone()), new)?;
    let now = app.now();
    let storage = app.storage.of(&tenant);
    storage
        .run("token-create", async move |tx| {
            tx.put_admin_token(&row).await?;
            who.note(tx, ("token.create", &row.label), now).await
        })
        .await?;
    Ok(made)
}

/// Another token of the operator's.
#[utoipa::path(post, path = "/tokens", operation_id = "create_operators_token", request_body = NewToken,
    responses((status = CREATED, body = Shown, description = "The token, shown once.")))]
pub(crate) async fn create_operators(
    State(app): State<Arc<App>>,
    Operator(who): Operator,
    Body(new): Body<NewToken>,
) -> Result<(StatusCode, Json<Shown>), Problem> {
    let (row, made) = mint(&app, None, new)?;
    let noted = who.entry(("token.create", &row.label), String::new(), app.now());
    app.storage.admin_tokens().put(&row, noted).await?;
    Ok(made)
}

/// A row, and the one answer that shows the token.
fn mint(
    app: &App,
    tenant: Option<TenantId>,
    new: NewToken,
) -> Result<(AdminToken, (StatusCode, Json<Shown>)), Problem> {
    if !(1..=64).contains(&new.label.len()) {
        return Err(Problem::new(ErrorCode::Malformed, "a label has 1 to 64 bytes"));
    }
    if tenant.is_none() && new.application.is_some() {
        return Err(Problem::new(ErrorCode::Malformed, "an application is a tenant's"));
    }
    if new.relay_host.as_ref().is_some_and(|host| tenant.is_some() || is_built_in(host)) {
        let why = "a relay host is the operator's, and its id does not begin like those of nodes' own";
        return Err(Problem::new(ErrorCode::Malformed, why));
    }
    let token = secrets::new_token(&mut app.rng());
    let life = new.expires_in_ms.map_or(LIFE, Duration::from_millis);
    let row = AdminToken {
        hash: secrets::hash(&token),
        tenant,
        application: new.application,
        relay_host: new.relay_host,
        label: new.label,
        created_at: app.now(),
        expires_at: Some(app.now().after(life)),
        revoked_at: None,
    };
    let made = Shown { token: Some(token), ..shown(row.clone()) };
    Ok((row, (StatusCode::CREATED, Json(made))))
}

/// The operator's tokens.
#[utoipa::path(get, path = "/tokens", operation_id = "list_operators_tokens",
    responses((status = OK, body = Vec<Shown>, description = "The tokens, without what they are.")))]
pub(crate) async fn operators(
    State(app): State<Arc<App>>,
    Operator(_): Operator,
) -> Result<Json<Vec<Shown>>, Problem> {
    let all = app.storage.admin_tokens().list().await?;
    Ok(Json(all.into_iter().filter(|token| token.tenant.is_none()).map(shown).collect()))
}

/// Takes one of the operator's tokens back.
#[utoipa::path(delete, path = "/tokens/{id}", operation_id = "revoke_operators_token",
    responses((status = NO_CONTENT, description = "It counts no more.")))]
pub(crate) async fn revoke_operators(
    State(app): State<Arc<App>>,
    Path(Below { id }): Path<Below>,
    Operator(who): Operator,
) -> Result<StatusCode, Problem> {
    let hash = own(&app, &id, None).await?;
    let noted = who.entry(("token.revoke", &id), String::new(), app.now());
    app.storage.admin_tokens().revoke(&hash, noted).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the tenant's tokens.
#[utoipa::path(get, path = "/tenants/{tenant}/tokens", operation_id = "list_tokens",
    responses((status = OK, body = Vec<Shown>, description = "The tokens, without what they are.")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    OfTenant { tenant, .. }: OfTenant,
) -> Result<Json<Vec<Shown>>, Problem> {
    let all = app.storage.admin_tokens().list().await?;
    let own = all.into_iter().filter(|token| token.tenant.as_ref() == Some(&tenant));
    Ok(Json(own.map(shown).collect()))
}

/// Takes a token back.
#[utoipa::path(delete, path = "/tenants/{tenant}/tokens/{id}", operation_id = "revoke_token",
    responses((status = NO_CONTENT, description = "It counts no more.")))]
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    OfTenant { who, tenant }: OfTenant,
    Path(Below { id }): Path<Below>,
) -> Result<StatusCode, Problem> {
    let hash = own(&app, &id, Some(&tenant)).await?;
    let now = app.now();
    let storage = app.storage.of(&tenant);
    storage
        .run("token-revoke", async move |tx| {
            tx.revoke_admin_token(&hash, now).await?;
            who.note(tx, ("token.revoke", &id), now).await
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The hash of a token of this tenant's, or of the operator's.
async fn own(app: &App, id: &str, tenant: Option<&TenantId>) -> Result<[u8; 32], Problem> {
    let hash = HEXLOWER.decode(id.as_bytes()).ok().and_then(|hash| <[u8; 32]>::try_from(hash).ok());
    let hash = hash.ok_or(ErrorCode::NotFound)?;
    let stored = app.storage.admin_tokens().get(&hash).await?;
    stored.filter(|token| token.tenant.as_ref() == tenant).ok_or(ErrorCode::NotFound)?;
    Ok(hash)
}

fn shown(row: AdminToken) -> Shown {
    Shown {
        id: HEXLOWER.encode(&row.hash),
        label: row.label,
        application: row.application,
        relay_host: row.relay_host,
        expires_at: row.expires_at,
        revoked: row.revoked_at.is_some(),
        token: None,
    }
}

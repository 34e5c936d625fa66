//! Secrets of a plugin: set, removed, listed by name; no answer ever holds a value.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use serde::{Deserialize, Serialize};
use switchhook_core::{
    policy::{Slot, is_word},
    seal::Purpose,
};
use switchhook_protocol::error::ErrorCode;
use switchhook_storage::StorageError;
use utoipa::ToSchema;

use super::{Named, changing};
use crate::{
    app::App,
    http::problem::{Body, Problem},
    limits,
    plugins::changes::Changing,
};

#[derive(Debug, Deserialize)]
pub(crate) struct OfPlugin {
    tenant: String,
    slot: Slot,
    name: String,
    secret: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSecret)]
pub(crate) struct New {
    value: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SecretNames)]
pub(crate) struct Names {
    secrets: Vec<String>,
}

/// Lists the names of secrets.
#[utoipa::path(get, path = "/tenants/{tenant}/plugins/{slot}/{name}/secrets", operation_id = "list_plugin_secrets",
    responses((status = OK, body = Names, description = "Names alone: nobody reads a value back.")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Path(named): Path<Named>,
    headers: HeaderMap,
) -> Result<Json<Names>, Problem> {
    let what = changing(&app, &headers, &named).await?;
    let rows = app.storage.of(&what.tenant).plugin_secrets(what.slot, what.name.as_str()).await?;
    Ok(Json(Names { secrets: rows.into_iter().map(|(name, _)| name).collect() }))
}

/// Sets a secret.
#[utoipa::path(put, path = "/tenants/{tenant}/plugins/{slot}/{name}/secrets/{secret}", operation_id = "put_plugin_secret", request_body = New,
    responses((status = NO_CONTENT, description = "It is set.")))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Path(of): Path<OfPlugin>,
    headers: HeaderMap,
    Body(new): Body<New>,
) -> Result<StatusCode, Problem> {
    let (what, secret) = find(&app, &headers, of).await?;
    if !is_word(&secret) || !(1..=limits::SECRET).contains(&new.value.len()) {
        let why = format!("a secret's name is a word, its value 1 to {} bytes", limits::SECRET);
        return Err(Problem::new(ErrorCode::Malformed, why));
    }
    let storage = app.storage.of(&what.tenant);
    let others = storage.plugin_secrets(what.slot, what.name.as_str()).await?;
    if others.iter().filter(|(name, _)| *name != secret).count() >= limits::SECRETS {
        return Err(Problem::new(ErrorCode::PluginState, "it has as many secrets as a plugin may have"));
    }
    let keys = app.keys.of(&what.tenant);
    let sealed = keys.seal_bytes(Purpose::Secret, new.value.as_bytes(), &mut app.rng());
    let now = app.now();
    storage
        .run("plugin-secret", async move |tx| {
            tx.put_plugin_secret((what.slot, what.name.as_str()), &secret, sealed).await?;
            let subject = format!("{}/{}", what.slot, what.name);
            what.who.note_detail(tx, ("plugin.secret", &subject), secret, now).await
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a secret.
#[utoipa::path(delete, path = "/tenants/{tenant}/plugins/{slot}/{name}/secrets/{secret}", operation_id = "remove_plugin_secret",
    responses((status = NO_CONTENT, description = "It is gone.")))]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    Path(of): Path<OfPlugin>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let (what, secret) = find(&app, &headers, of).await?;
    let (storage, now) = (app.storage.of(&what.tenant), app.now());
    let removed = storage
        .run("plugin-secret", async move |tx| {
            let removed = tx.remove_plugin_secret((what.slot, what.name.as_str()), &secret).await?;
            let subject = format!("{}/{}", what.slot, what.name);
            what.who.note_detail(tx, ("plugin.secret-removed", &subject), secret, now).await?;
            Ok::<_, StorageError>(removed)
        })
        .await?;
    if removed { Ok(StatusCode::NO_CONTENT) } else { Err(ErrorCode::NotFound.into()) }
}

async fn find(app: &App, headers: &HeaderMap, of: OfPlugin) -> Result<(Changing, String), Problem> {
    let named = Named { tenant: of.tenant, slot: of.slot, name: of.name };
    Ok((changing(app, headers, &named).await?, of.secret))
}

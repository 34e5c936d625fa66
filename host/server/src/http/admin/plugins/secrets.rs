//! Secrets of a plugin: set, removed, listed by name; no answer ever holds a value.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use switchhook_core::{policy::is_word, seal::Purpose};
use switchhook_protocol::error::ErrorCode;
use switchhook_storage::StorageError;
use utoipa::ToSchema;

use crate::{
    app::App,
    http::{
        extract::{Body, Path},
        problem::Problem,
    },
    limits,
    plugins::changes::Changing,
};

/// What stands below the plugin in an address.
#[derive(Deserialize)]
pub(crate) struct Below {
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
pub(crate) async fn list(State(app): State<Arc<App>>, what: Changing) -> Result<Json<Names>, Problem> {
    let rows = app.storage.of(&what.tenant).plugin_secrets(what.slot, what.name.as_str()).await?;
    Ok(Json(Names { secrets: rows.into_iter().map(|(name, _)| name).collect() }))
}

/// Sets a secret.
#[utoipa::path(put, path = "/tenants/{tenant}/plugins/{slot}/{name}/secrets/{secret}", operation_id = "put_plugin_secret", request_body = New,
    responses((status = NO_CONTENT, description = "It is set.")))]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    what: Changing,
    Path(Below { secret }): Path<Below>,
    Body(new): Body<New>,
) -> Result<StatusCode, Problem> {
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
    what: Changing,
    Path(Below { secret }): Path<Below>,
) -> Result<StatusCode, Problem> {
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

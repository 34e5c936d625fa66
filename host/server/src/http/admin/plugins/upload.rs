//! Upload of a component, streamed, no further than it may be large; or of a webhook, as JSON.

use std::sync::Arc;

use axum::{
    Json,
    body::{Body, BodyDataStream},
    extract::State,
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
};
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use switchhook_core::mint;
use switchhook_plugin_runtime::{Digest, MAX_COMPONENT};
use switchhook_protocol::error::ErrorCode;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::super::schemas;
use crate::{
    app::App,
    http::problem::Problem,
    limits,
    plugins::{
        changes::{self, Changing, Upload},
        webhook::Webhook,
    },
};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Uploaded {
    version: u32,
    digest: String,
    size: u64,
    /// What was configured before, if this version accepts it.
    configuration: serde_json::Value,
    /// Of a webhook for which none was given: shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewVersion)]
struct New {
    webhook: NewWebhook,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    url: String,
    secret: Option<String>,
}

/// Uploads a component, or names a webhook, as a new version; it is asked nothing until it is activated.
#[utoipa::path(post, path = "/tenants/{tenant}/plugins/{slot}/{name}/versions", operation_id = "upload_plugin",
    request_body(content((schemas::Component = "application/wasm"), (New = "application/json"))),
    responses((status = CREATED, body = Uploaded, description = "The version, inactive.")))]
pub(crate) async fn upload(
    State(app): State<Arc<App>>,
    what: Changing,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Uploaded>), Problem> {
    let _place = app.uploads.take(&what.tenant).ok_or(ErrorCode::Overloaded)?;
    let late = |_| Problem::new(ErrorCode::Malformed, "the upload took too long");
    let bytes = timeout(limits::UPLOAD, read(body.into_data_stream())).await.map_err(late)??;
    let (upload, secret) = if is_json(&headers) {
        let (webhook, secret) = webhook(&app, &bytes)?;
        (Upload::Webhook(webhook), secret)
    } else {
        (Upload::Component(bytes), None)
    };
    let row = changes::upload(&app, &what, upload).await?;
    let configuration = serde_json::from_str(&row.configuration).unwrap_or_default();
    let digest = Digest(row.digest).to_string();
    let uploaded = Uploaded { version: row.version, digest, size: row.size, configuration, secret };
    Ok((StatusCode::CREATED, Json(uploaded)))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The webhook, and its secret if the host made it.
fn webhook(app: &App, body: &[u8]) -> Result<(Webhook, Option<String>), Problem> {
    let wrong = |error: serde_json::Error| Problem::new(ErrorCode::Malformed, error.to_string());
    let New { webhook: NewWebhook { url, secret } } = serde_json::from_slice(body).map_err(wrong)?;
    let made = secret.is_none().then(|| mint::nonce(&mut app.rng()));
    let secret = secret.or_else(|| made.clone()).unwrap_or_default();
    Ok((Webhook { url, secret }, made))
}

async fn read(mut stream: BodyDataStream) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        let broken = |_| Problem::new(ErrorCode::Malformed, "the upload broke off");
        let piece = piece.map_err(broken)?;
        if bytes.len() + piece.len() > MAX_COMPONENT {
            let why = format!("a component has at most {MAX_COMPONENT} bytes");
            return Err(Problem::new(ErrorCode::TooLarge, why));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

//! Health and metrics.

use std::sync::Arc;

use axum::{extract::State, http::header, response::IntoResponse};
use prometheus_client::{encoding::text::encode, registry::Registry};
use switchhook_protocol::error::ErrorCode;

use super::problem::Problem;
use crate::app::App;

/// The process runs; says nothing of the database.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// The server takes work: the database answers, and it does not shut down.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    if app.stop.is_cancelled() {
        return Err(ErrorCode::Overloaded.into());
    }
    app.storage.ping().await?;
    Ok("ready\n")
}

/// `OpenMetrics` text.
pub(crate) fn metrics(registry: &Registry) -> Result<impl IntoResponse + use<>, Problem> {
    let mut text = String::new();
    encode(&mut text, registry).or(Err(ErrorCode::Internal))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text))
}

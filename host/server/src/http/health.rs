//! Health and metrics.

use std::sync::Arc;

use axum::{extract::State, http::header, response::IntoResponse};
use prometheus_client::{encoding::text::encode, registry::Registry};
use switchhook_protocol::error::{ErrorBody, ErrorCode};
use tracing::warn;

use super::problem::Problem;
use crate::{
    app::App,
    causes::Causes,
    relay_hosts::seen::{NotReady, Standing},
};

/// The process runs; says nothing of the database.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// The server takes work: the database answers, and it does not shut down.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Result<&'static str, Problem> {
    if app.stop.is_cancelled() {
        return Err(ErrorCode::Overloaded.into());
    }
    if let Err(trouble) = app.storage.ping().await {
        warn!(error = %Causes(&trouble), "not ready: the database is away");
        return Err(ErrorCode::Overloaded.into());
    }
    Ok("ready\n")
}

/// People are sent to this relay host.
pub(crate) async fn relay_host_ready(State(standing): State<Arc<Standing>>) -> Result<&'static str, Problem> {
    let why = |why: NotReady| ErrorBody { message: why.to_string(), ..ErrorCode::Overloaded.into() };
    standing.is_ready().map_err(why)?;
    Ok("ready\n")
}

/// What this relay host counts: nothing before it has entered.
pub(crate) async fn relay_host_metrics(
    State(standing): State<Arc<Standing>>,
) -> Result<impl IntoResponse, Problem> {
    standing.registry().map_or_else(|| metrics(&Registry::default()), metrics)
}

/// `OpenMetrics` text.
pub(crate) fn metrics(registry: &Registry) -> Result<impl IntoResponse + use<>, Problem> {
    let mut text = String::new();
    encode(&mut text, registry).or(Err(ErrorCode::Internal))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text))
}

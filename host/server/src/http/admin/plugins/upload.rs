//! Upload of a component: streamed, no further than it may be large.

use std::sync::Arc;

use axum::{
    Json,
    body::{Body, BodyDataStream},
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use futures_util::StreamExt as _;
use serde::Serialize;
use switchhook_plugin_runtime::{Digest, MAX_COMPONENT};
use switchhook_protocol::error::ErrorCode;
use tokio::time::timeout;

use super::{Named, changing};
use crate::{app::App, http::problem::Problem, limits, plugins::changes};

#[derive(Debug, Serialize)]
pub(crate) struct Uploaded {
    version: u32,
    digest: String,
    size: u64,
    /// What was configured before, if this version accepts it.
    configuration: serde_json::Value,
}

pub(crate) async fn upload(
    State(app): State<Arc<App>>,
    Path(named): Path<Named>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Uploaded>), Problem> {
    let what = changing(&app, &headers, &named).await?;
    let _place = app.uploads.try_acquire().or(Err(ErrorCode::Overloaded))?;
    let late = |_| Problem::new(ErrorCode::Malformed, "the upload took too long");
    let bytes = timeout(limits::UPLOAD, read(body.into_data_stream())).await.map_err(late)??;
    let row = changes::upload(&app, &what, bytes).await?;
    let configuration = serde_json::from_str(&row.configuration).unwrap_or_default();
    let digest = Digest(row.digest).to_string();
    let uploaded = Uploaded { version: row.version, digest, size: row.size, configuration };
    Ok((StatusCode::CREATED, Json(uploaded)))
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

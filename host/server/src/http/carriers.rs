//! `GET /v1/{tenant}/carriers`: which number a client texts, by its SIM's carrier (REG-15).
//!
//! The whole bundle, or what of it is for one SIM. A client that has this version is told so by its entity tag.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use switchhook_protocol::carrier::{CarrierBundle, Sim};

use super::{
    entity_tag::EntityTag,
    extract::{Path, Query},
    problem::Problem,
};
use crate::{app::App, tenants};

/// Whose bundle.
#[derive(Deserialize)]
pub(crate) struct Whose {
    tenant: String,
}

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(Whose { tenant }): Path<Whose>,
    Query(sim): Query<Sim>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let tenant = tenants::known(&app, &tenant).await?;
    let bundle = app.storage.of(&tenant).carriers().await?;
    let tag = EntityTag::of_version(bundle.version);
    let answer = if tag.is_known(&headers) {
        StatusCode::NOT_MODIFIED.into_response()
    } else if sim == Sim::default() {
        Json(bundle).into_response()
    } else {
        let carriers = bundle.carrier(&sim).cloned().into_iter().collect();
        Json(CarrierBundle { carriers, ..bundle }).into_response()
    };
    // It may be kept, and is asked for again before it is used.
    Ok((tag.header(), [(header::CACHE_CONTROL, "no-cache")], answer).into_response())
}

//! HTTP: sockets' upgrade, transits, links in mails, administration, health and metrics.

pub(crate) mod admin;
mod carriers;
mod entity_tag;
mod extract;
mod health;
pub(crate) mod links;
mod open;
pub(crate) mod problem;
mod request_id;
pub(crate) mod signed;
pub(crate) mod transit;

use std::sync::Arc;

pub(crate) use admin::Administrator;
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderValue, header},
    middleware::{Next, from_fn, from_fn_with_state, map_response},
    response::Response,
    routing::{MethodRouter, get, post},
};
use prometheus_client::registry::Registry;
use switchhook_protocol::error::ErrorCode;

use self::problem::Problem;
use crate::{app::App, limits, relay_hosts::seen::Standing, ws};

/// Some answers to administrators have keys and tokens in them.
async fn uncached(mut answer: Response) -> Response {
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// What a relay host apart answers.
pub(crate) fn relay_host_router(standing: Arc<Standing>) -> Router {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::relay_host_ready))
        .route("/metrics", get(health::relay_host_metrics))
        .fallback(nowhere)
        .layer(DefaultBodyLimit::max(limits::HTTP_BODY))
        .with_state(standing)
}

/// What transits post: each answer names its request.
fn reported(posted: MethodRouter<Arc<App>>) -> MethodRouter<Arc<App>> {
    posted.layer(from_fn(request_id::echoed))
}

/// A request goes on to its end, also when its client has left: what it commits others are told of.
async fn to_its_end(State(app): State<Arc<App>>, request: Request, next: Next) -> Result<Response, Problem> {
    app.tasks.spawn(next.run(request)).await.or(Err(ErrorCode::Internal.into()))
}

async fn nowhere() -> Problem {
    ErrorCode::NotFound.into()
}

/// Everything that the server answers.
pub(crate) fn router(app: Arc<App>, registry: Arc<Registry>) -> Router {
    Router::new()
        .route("/v1/{tenant}/requests/{op}", post(signed::request))
        .route("/v1/{tenant}/carriers", get(carriers::show))
        .route("/v1/{tenant}/registrations", post(open::registrations::register))
        .route("/v1/{tenant}/registrations/find", post(open::registrations::find))
        .route("/v1/{tenant}/registrations/revoke", post(open::registrations::revoke))
        .route(
            "/v1/{tenant}/applications/{application}/validations/{validation}",
            get(open::validations::show).put(open::validations::begin),
        )
        .route("/v1/{tenant}/links", post(links::post))
        .route("/v1/{tenant}/links/{token}", get(links::show).post(links::confirm))
        .route("/v1/{tenant}/transits/{gateway}/messages", reported(post(transit::message)))
        .route("/v1/{tenant}/transits/{gateway}/receipts", reported(post(transit::receipt)))
        .nest(admin::openapi::BASE, admin::routes::router().layer(map_response(uncached)))
        .layer(from_fn_with_state(Arc::clone(&app), to_its_end))
        .route("/v1/{tenant}/connect", get(ws::connect))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(move || async move { health::metrics(&registry) }))
        .fallback(nowhere)
        .layer(DefaultBodyLimit::max(limits::HTTP_BODY))
        .with_state(app)
}

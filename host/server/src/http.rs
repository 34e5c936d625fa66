//! HTTP: sockets' upgrade, transits, administration, health and metrics.

mod admin;
mod health;
pub(crate) mod problem;
mod transit;

use std::sync::Arc;

pub(crate) use admin::Administrator;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{delete, get, post, put},
};
use prometheus_client::registry::Registry;
use switchhook_protocol::error::ErrorCode;

use self::problem::Problem;
use crate::{app::App, limits, ws};

/// A tenant's plugins.
fn plugins() -> Router<Arc<App>> {
    use admin::plugins::{changes, secrets, show, upload};
    let plugin = Router::new()
        .route("/", get(show::one))
        .route("/versions", post(upload::upload).layer(DefaultBodyLimit::disable()))
        .route("/versions/{version}", get(show::version))
        .route("/activate", post(changes::activate))
        .route("/rollback", post(changes::rollback))
        .route("/deactivate", post(changes::deactivate))
        .route("/configuration", get(show::configuration).put(changes::configure))
        .route("/grants", get(show::grants).put(changes::grant))
        .route("/secrets", get(secrets::list))
        .route("/secrets/{secret}", put(secrets::put).delete(secrets::remove))
        .route("/logs", get(show::logs))
        .route("/metrics", get(show::metrics));
    Router::new().route("/", get(show::all)).nest("/{slot}/{name}", plugin)
}

/// Everything that the server answers.
pub(crate) fn router(app: Arc<App>, registry: Arc<Registry>) -> Router {
    let admin = Router::new()
        .route("/tenants", get(admin::tenants::list).post(admin::tenants::create))
        .route("/tenants/{tenant}/gateways", get(admin::gateways::list))
        .route("/tenants/{tenant}/gateways/{gateway}", put(admin::gateways::put))
        .route("/tenants/{tenant}/tokens", get(admin::tokens::list).post(admin::tokens::create))
        .route("/tenants/{tenant}/tokens/{id}", delete(admin::tokens::revoke))
        .route("/tokens", get(admin::tokens::operators).post(admin::tokens::create_operators))
        .route("/tokens/{id}", delete(admin::tokens::revoke_operators))
        .nest("/tenants/{tenant}/plugins", plugins())
        .route("/tenants/{tenant}/audit", get(admin::audit::list))
        .route("/tenants/{tenant}/decisions", get(admin::sessions::decisions))
        .route("/tenants/{tenant}/sessions/{session}", get(admin::sessions::show))
        .route("/tenants/{tenant}/texts/in-doubt", get(admin::texts::in_doubt))
        .route("/tenants/{tenant}/texts/{text}/resend", post(admin::texts::resend));
    Router::new()
        .route("/v1/{tenant}/connect", get(ws::connect))
        .route("/v1/{tenant}/transits/{gateway}/messages", post(transit::message))
        .nest("/admin/v1", admin)
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(move || async move { health::metrics(&registry) }))
        .fallback(|| async { Problem::from(ErrorCode::NotFound) })
        .layer(DefaultBodyLimit::max(limits::HTTP_BODY))
        .with_state(app)
}

//! WebSocket: one connection per device.

pub(crate) mod connection;
mod frame;
mod handshake;
mod socket;

use std::sync::Arc;

use axum::{
    extract::{Path, State, WebSocketUpgrade},
    response::Response,
};
use switchhook_protocol::{MAX_FRAME, SUBPROTOCOL, error::ErrorCode};

use crate::{app::App, http::problem::Problem, limits, tenants};

/// `GET /v1/{tenant}/connect`.
pub(crate) async fn connect(
    State(app): State<Arc<App>>,
    Path(tenant): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let tenant = tenants::known(&app, &tenant).await?;
    let place = Arc::clone(&app.unknown_sockets).try_acquire_owned().or(Err(ErrorCode::Overloaded))?;
    let upgrade = upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(limits::SOCKET_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(2 * MAX_FRAME)
        .max_message_size(MAX_FRAME)
        .max_frame_size(MAX_FRAME);
    if upgrade.selected_protocol().is_none() {
        return Err(Problem::from(ErrorCode::Unsupported));
    }
    let tasks = app.tasks.clone();
    Ok(upgrade.on_upgrade(move |socket| {
        tasks.track_future(connection::serve(app, tenant, socket::Socket::new(socket), place))
    }))
}

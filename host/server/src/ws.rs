//! WebSocket: one connection per device.

pub(crate) mod connection;
mod frame;
mod handshake;
mod socket;

use std::{future, sync::Arc};

use axum::{
    extract::{Path, State, WebSocketUpgrade},
    http::HeaderMap,
    response::Response,
};
use switchhook_protocol::{MAX_FRAME, SUBPROTOCOL, error::ErrorCode};

use self::{connection::Newcomer, socket::Socket};
use crate::{app::App, authority, http::problem::Problem, limits, listen::peer::Peer, tenants};

/// `GET /v1/{tenant}/connect`.
pub(crate) async fn connect(
    State(app): State<Arc<App>>,
    Path(tenant): Path<String>,
    peer: Peer,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let tenant = tenants::known(&app, &tenant).await?;
    let admitted = app.doors.socket(&tenant, peer.ip, &headers);
    let admitted = admitted.inspect_err(|body| app.metrics.refused(body.code))?;
    // Whoever has no place costs no look at certificates.
    authority::check(&app, &tenant, &peer).await?;
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
    Ok(upgrade.on_upgrade(move |socket| {
        let tasks = app.tasks.clone();
        let newcomer = Newcomer { app, tenant, socket: Socket::new(socket), admitted };
        // A task of its own, small enough to be idle: this one has room for the upgrade.
        tasks.spawn(connection::serve(Box::new(newcomer)));
        future::ready(())
    }))
}

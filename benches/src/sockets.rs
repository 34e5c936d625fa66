//! The yardstick's servers for idle sockets: axum's upgrade and nothing behind it.

use axum::{
    Router,
    extract::ws::{WebSocket, WebSocketUpgrade},
    response::Response,
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use switchhook_protocol::SUBPROTOCOL;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

/// How a bare server is built.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Kind {
    /// hyper's builder with its smallest buffer, tungstenite's buffers of 1 KiB.
    Small,
    /// What `axum::serve` and the upgrade have by default.
    Defaults,
}

/// Serves until it is ended.
#[expect(clippy::print_stdout, reason = "says where it listens")]
pub(crate) fn serve(kind: Kind) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        match kind {
            Kind::Small => small(listener).await,
            Kind::Defaults => {
                let upgrade =
                    |upgrade: WebSocketUpgrade| async { upgrade.protocols([SUBPROTOCOL]).on_upgrade(idle) };
                Ok(axum::serve(listener, Router::new().route("/", get(upgrade))).await?)
            }
        }
    })
}

async fn small(listener: TcpListener) -> anyhow::Result<()> {
    let router = Router::new().route("/", get(upgrade));
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        connections.spawn(connection(stream, router.clone()));
    }
}

async fn connection(stream: TcpStream, router: Router) {
    let served = http1::Builder::new()
        .max_buf_size(8192)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    // A client that left is none of a yardstick's business.
    Box::pin(served).await.unwrap_or_default();
}

async fn upgrade(upgrade: WebSocketUpgrade) -> Response {
    upgrade.protocols([SUBPROTOCOL]).read_buffer_size(1024).write_buffer_size(0).on_upgrade(idle)
}

async fn idle(mut socket: WebSocket) {
    while let Some(Ok(_)) = socket.recv().await {}
}

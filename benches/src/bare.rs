//! The yardsticks' servers for sockets: axum's upgrade, and nothing or a bare hub behind it.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::{
        Path, State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    response::Response,
    routing::get,
};
use futures_util::StreamExt as _;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use switchhook_protocol::SUBPROTOCOL;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::tls;

/// Messages that wait for one socket of the hub.
const QUEUE: usize = 16;

/// What a bare server is.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Idle sockets on hyper's builder with its smallest buffer, tungstenite's buffers of 1 KiB.
    Small,
    /// Idle sockets with what `axum::serve` and the upgrade have by default.
    Defaults,
    /// As small; what one socket says goes to another.
    Hub,
}

/// Files in PEM, for TLS.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Files {
    #[arg(long, requires = "key")]
    certificate: Option<PathBuf>,
    #[arg(long)]
    key: Option<PathBuf>,
}

type Hub = Arc<Mutex<HashMap<u32, mpsc::Sender<Message>>>>;

/// Serves until it is ended.
#[expect(clippy::print_stdout, reason = "says where it listens")]
pub(crate) fn serve(kind: Kind, files: &Files) -> anyhow::Result<()> {
    let tls = match files {
        Files { certificate: Some(certificate), key: Some(key) } => {
            Some(TlsAcceptor::from(tls::server(certificate, key)?))
        }
        Files { .. } => None,
    };
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        match kind {
            Kind::Small => small(listener, tls, Router::new().route("/", get(upgrade))).await,
            Kind::Hub => small(listener, tls, hub()).await,
            Kind::Defaults => {
                let upgrade =
                    |upgrade: WebSocketUpgrade| async { upgrade.protocols([SUBPROTOCOL]).on_upgrade(idle) };
                Ok(axum::serve(listener, Router::new().route("/", get(upgrade))).await?)
            }
        }
    })
}

async fn small(listener: TcpListener, tls: Option<TlsAcceptor>, router: Router) -> anyhow::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        connections.spawn(connection(stream, tls.clone(), router.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// A client that left is none of a yardstick's business.
async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, router: Router) {
    let Some(tls) = tls else { return speak(stream, router).await };
    if let Ok(stream) = Box::pin(tls.accept(stream)).await {
        speak(stream, router).await;
    }
}

async fn speak(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, router: Router) {
    let served = http1::Builder::new()
        .max_buf_size(8192)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    Box::pin(served).await.unwrap_or_default();
}

async fn upgrade(upgrade: WebSocketUpgrade) -> Response {
    with_small_buffers(upgrade).on_upgrade(idle)
}

fn with_small_buffers(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade.protocols([SUBPROTOCOL]).read_buffer_size(1024).write_buffer_size(0)
}

async fn idle(mut socket: WebSocket) {
    while let Some(Ok(_)) = socket.recv().await {}
}

/// `/{from}/{to}`: what it says goes to the socket of the other number, if there is one and it has room.
fn hub() -> Router {
    let join =
        async |State(hub): State<Hub>, Path((from, to)): Path<(u32, u32)>, upgrade: WebSocketUpgrade| {
            with_small_buffers(upgrade).on_upgrade(move |socket| pass_on(hub, from, to, socket))
        };
    Router::new().route("/{from}/{to}", get(join)).with_state(Hub::default())
}

async fn pass_on(hub: Hub, from: u32, to: u32, mut socket: WebSocket) {
    let (sender, mut queue) = mpsc::channel(QUEUE);
    let table = || hub.lock().unwrap_or_else(PoisonError::into_inner);
    table().insert(from, sender);
    loop {
        tokio::select! {
            Some(message) = queue.recv() => if socket.send(message).await.is_err() { return },
            said = socket.next() => {
                let Some(Ok(message)) = said else { return };
                if let Some(to) = table().get(&to) {
                    // A full one loses it, as live messages may be lost.
                    to.try_send(message).unwrap_or_default();
                }
            }
        }
    }
}

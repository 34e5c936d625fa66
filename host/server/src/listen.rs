//! The port of HTTP and WebSocket: connections are taken, perhaps led through TLS, and served.
//!
//! One task a connection. Told to stop, the port takes nothing new, and what is being answered is
//! answered to its end.

pub(crate) mod doors;
pub(crate) mod forwarded;
pub(crate) mod operators;
pub(crate) mod peer;
pub(crate) mod tls;

use std::{io, net::SocketAddr, sync::Arc};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use switchhook_protocol::error::ErrorCode;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use self::{
    peer::{Answering, Peer},
    tls::Tls,
};
use crate::{app::App, limits, metrics::Handshake};

/// A bound port.
#[derive(Debug)]
pub(crate) struct Listener {
    tcp: TcpListener,
    tls: Option<Arc<Tls>>,
}

impl Listener {
    /// Binds the port; with TLS if there is one.
    pub(crate) async fn bind(addr: SocketAddr, tls: Option<Arc<Tls>>) -> io::Result<Self> {
        Ok(Self { tcp: TcpListener::bind(addr).await?, tls })
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// What leads through TLS, if there is TLS.
    pub(crate) fn tls(&self) -> Option<Arc<Tls>> {
        self.tls.clone()
    }

    /// Takes connections until told to stop.
    pub(crate) async fn run(self, app: Arc<App>, router: Router) {
        if let Some(tls) = self.tls() {
            app.tasks.spawn(tls.watch(app.stop.clone()));
        }
        while let Some((stream, addr)) = next(&self.tcp, &app.stop).await {
            let peer = Peer { ip: addr.ip(), certificates: None };
            let Ok(place) = app.doors.connection(peer.ip) else {
                app.metrics.refused(ErrorCode::TooManyConnections);
                continue;
            };
            let served = serve(Arc::clone(&app), (stream, peer), self.tls.clone(), router.clone());
            app.tasks.spawn(async move {
                served.await;
                drop(place);
            });
        }
    }
}

/// The next connection; none when told to stop.
async fn next(tcp: &TcpListener, stop: &CancellationToken) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            accepted = tcp.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => return Some(accepted),
            Err(error) => {
                // Out of file descriptors: others must end before another can begin.
                warn!(%error, "a connection could not be taken");
                time::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(app: Arc<App>, (stream, peer): (TcpStream, Peer), tls: Option<Arc<Tls>>, router: Router) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Some(tls) = tls else {
        return speak(&app.stop, stream, Answering::new(router, peer)).await;
    };
    let Ok(place) = app.doors.handshake(peer.ip) else {
        return app.metrics.handshake(Handshake::Refused);
    };
    let shaken = Box::pin(tls.accept(&app.metrics, &app.stop, stream)).await;
    drop(place);
    if let Some(stream) = shaken {
        let certificates = stream.get_ref().1.peer_certificates().map(Arc::from);
        let peer = Peer { certificates, ..peer };
        speak(&app.stop, stream, Answering::new(router, peer)).await;
    }
}

/// HTTP on a connection, up to its end or its upgrade.
async fn speak<Stream>(stop: &CancellationToken, stream: Stream, answering: Answering)
where
    Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HELLO)
        .max_buf_size(limits::HTTP_BUFFER)
        .serve_connection(TokioIo::new(stream), answering)
        .with_upgrades();
    let mut connection = Box::pin(connection);
    let served = tokio::select! {
        biased;
        served = connection.as_mut() => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        debug!(%error, "a connection ended early");
    }
}

//! The path in use: what sends, whoever asks.

use core::{
    fmt,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
};
use std::sync::Arc;

use switchhook_protocol::call::PathKind;
use tokio::sync::watch;

use super::way::Way;
use crate::{
    network::DatagramSocket,
    secure::{Established, Kind, MAX_SEALED},
};

/// A path that carries data.
#[derive(Debug, Clone)]
pub(super) struct PathInUse {
    pub(super) socket: Arc<dyn DatagramSocket>,
    pub(super) established: Established,
    pub(super) kind: PathKind,
}

impl PathInUse {
    /// The same call over another way.
    pub(super) fn over(&self, way: &Way, peer: SocketAddr) -> Self {
        let established = Established { transport: Arc::clone(&self.established.transport), peer };
        Self { socket: Arc::clone(&way.socket), established, kind: way.kind }
    }

    pub(super) fn send(&self, kind: Kind, payload: &[u8]) {
        let mut out = [0; MAX_SEALED];
        let Some(sealed) = self.established.transport.seal(kind, payload, &mut out) else { return };
        if let Err(error) = self.socket.send_to(sealed, self.established.peer) {
            // Lost, like any other; the path's silence tells whether that lasts.
            tracing::trace!(%error, "a datagram is not sent");
        }
    }
}

/// The path in use, watched; it changes when the call moves, and is none when the call is over.
pub(super) struct Live {
    path: watch::Sender<Option<Arc<PathInUse>>>,
    /// Datagrams that the application has sent.
    sent: AtomicU64,
}

impl Live {
    pub(super) fn new(path: Option<PathInUse>) -> Self {
        Self { path: watch::Sender::new(path.map(Arc::new)), sent: AtomicU64::new(0) }
    }

    pub(super) fn get(&self) -> Option<Arc<PathInUse>> {
        self.path.borrow().clone()
    }

    /// Sends a datagram of the application's over it; false if the call is over.
    pub(super) fn send(&self, datagram: &[u8]) -> bool {
        let Some(path) = self.get() else { return false };
        self.sent.fetch_add(1, Ordering::Relaxed);
        path.send(Kind::Application, datagram);
        true
    }

    /// How many datagrams the application has sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, path: Option<PathInUse>) {
        self.path.send_replace(path.map(Arc::new));
    }

    /// Waits until the path in use is a wanted one.
    pub(super) async fn becomes(&self, wanted: impl Fn(Option<(PathKind, SocketAddr)>) -> bool + Send) {
        let mut paths = self.path.subscribe();
        let in_use = |path: &Arc<PathInUse>| (path.kind, path.established.peer);
        // The sender lives as long as this.
        drop(paths.wait_for(move |path| wanted(path.as_ref().map(in_use))).await);
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Live").field(&self.get().map(|path| path.kind)).finish()
    }
}

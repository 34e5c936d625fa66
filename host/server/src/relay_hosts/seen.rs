//! What an operator sees of a relay host apart: whether it lives, whether people are sent to it, what it counts.
//!
//! It answers as a node does, at an address of its own, from its first moment on: a host that waits for the nodes
//! lives, and is not ready. It is ready while it has its keys, a node has heard of it within the lease, which is when
//! people are sent there, and it does not end.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use prometheus_client::registry::Registry;
use switchhook_core::relay_host::LEASE;
use switchhook_relay::Metrics;
use tokio::{net::TcpListener, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{StartError, http, listen};

/// How a relay host stands with the nodes.
#[derive(Default)]
pub(crate) struct Standing {
    /// When a node last heard of it.
    heard: Mutex<Option<Instant>>,
    leaving: AtomicBool,
    /// Nothing is counted before it has entered.
    registry: OnceLock<Registry>,
}

/// Why nobody is sent to a relay host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotReady {
    /// It has not entered, or the nodes refuse it.
    #[error("the nodes do not know this relay host")]
    Unknown,
    /// They knew it.
    #[error("the nodes have not heard of this relay host lately")]
    Unheard,
    /// It has been told to end.
    #[error("this relay host ends when nobody uses it any more")]
    Leaving,
}

/// The port where a relay host is seen.
pub(crate) struct Window {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Standing {
    /// A node has heard of it.
    pub(crate) fn heard(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// The nodes refuse it.
    pub(crate) fn refused(&self) {
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// It takes nobody any more.
    pub(crate) fn leaves(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// It has entered, and counts.
    pub(crate) fn counts(&self, metrics: &Metrics) {
        self.registry.get_or_init(|| {
            let mut registry = Registry::default();
            metrics.register(&mut registry);
            registry
        });
    }

    /// What is counted, if anything is.
    pub(crate) fn registry(&self) -> Option<&Registry> {
        self.registry.get()
    }

    /// Whether people are sent there.
    pub(crate) fn is_ready(&self) -> Result<(), NotReady> {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        readiness(heard.map(|heard| heard.elapsed()), self.leaving.load(Ordering::Relaxed))
    }
}

/// By how long ago a node has heard of it, if one has.
fn readiness(heard: Option<Duration>, leaving: bool) -> Result<(), NotReady> {
    match heard {
        _ if leaving => Err(NotReady::Leaving),
        None => Err(NotReady::Unknown),
        Some(ago) if ago > LEASE => Err(NotReady::Unheard),
        Some(_) => Ok(()),
    }
}

impl Window {
    /// Binds the port, and answers there.
    pub(crate) async fn open(addr: SocketAddr, standing: Arc<Standing>) -> Result<Self, StartError> {
        let failed = |error| StartError::Listen(addr, error);
        let tcp = TcpListener::bind(addr).await.map_err(failed)?;
        let addr = tcp.local_addr().map_err(failed)?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let router = http::relay_host_router(standing);
        tasks.spawn(listen::operators::run(tcp, router, (stop.clone(), tasks.clone())));
        Ok(Self { addr, stop, tasks })
    }

    /// Answers what was begun, and no more.
    pub(crate) async fn close(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing").field("ready", &self.is_ready()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rel_1_a_relay_host_is_ready_as_long_as_people_are_sent_there() {
        let standing = Standing::default();
        assert_eq!(standing.is_ready(), Err(NotReady::Unknown));
        standing.heard();
        assert_eq!(standing.is_ready(), Ok(()));
        standing.refused();
        assert_eq!(standing.is_ready(), Err(NotReady::Unknown));
        standing.heard();
        standing.leaves();
        assert_eq!(standing.is_ready(), Err(NotReady::Leaving));

        assert_eq!(readiness(Some(LEASE), false), Ok(()));
        assert_eq!(readiness(Some(LEASE + Duration::from_millis(1)), false), Err(NotReady::Unheard));
        assert_eq!(readiness(None, true), Err(NotReady::Leaving));
    }

    #[test]
    fn what_is_counted_is_seen_once_it_has_entered() {
        let standing = Standing::default();
        assert!(standing.registry().is_none());
        standing.counts(&Metrics::default());
        assert!(standing.registry().is_some());
    }
}

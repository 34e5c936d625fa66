//! The way through a relay, over the client's own way out: TURN (RFC 8656) in datagrams, or where none gets out over TCP,
//! and where nothing else does over TLS (REL-2, REL-4).
//!
//! An [`Allocation`] is a [`DatagramSocket`] like any other: what is sent goes out at the relay's
//! address, what comes in there is received. Checks and encryption run over it as over a direct
//! path. The first datagram to a peer gives the relay the permission for that peer.
//!
//! Its client of TURN is a [machine](turn), and [`Driver`] what moves that one: no task and no queue stands between.
//! So whoever receives from an allocation also keeps it, and has the answers of the relay read that the first
//! datagram to a peer waits for. A task comes into being at the end, to give the address back.

mod carrier;
mod driver;
mod login;
mod peers;
mod requests;
pub(crate) mod stream;
pub(crate) mod turn;
mod ways;
mod wire;

use core::{
    fmt,
    future::poll_fn,
    net::SocketAddr,
    task::{Context, Poll, ready},
};
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustls::ClientConfig as TlsConfig;
use switchhook_protocol::relay::RelayCredentials;
use tokio::{io::ReadBuf, runtime::Handle, time::timeout};
use tokio_util::task::TaskTracker;

use self::{
    driver::{Driver, Heard},
    turn::Why,
    ways::{Way, ways},
};
use crate::{
    limits,
    network::{DatagramSocket, Network},
};

/// Why there is no allocation.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The network gives no socket, or what leads to the relay broke off.
    #[error("no way to the relay: {0}")]
    Socket(#[from] io::Error),
    /// The relay refused.
    #[error("the relay gives no allocation: error {code}")]
    Refused {
        /// As RFC 8489 §14.8 and RFC 8656 §19 number it.
        code: u16,
    },
    /// The relay answered, and named no address.
    #[error("the relay names no address")]
    NoAddress,
    /// TLS cannot be set up, or leads to a relay of another name.
    #[error("no TLS to the relay: {0}")]
    Tls(String),
    /// The relay did not answer in time.
    #[error("the relay did not answer in time")]
    Deadline,
}

/// An address at a relay. It is kept, and the first datagram to a peer leaves, as long as somebody receives from it.
///
/// Where the relay has forgotten it, or the connection to the relay breaks off, nothing more is received, and to send is an
/// error.
pub struct Allocation {
    relayed: SocketAddr,
    way: Way,
    driver: Arc<Mutex<Driver>>,
}

impl Allocation {
    /// Asks the relay host for an address: by the first of its ways on which it answers. Over TLS it trusts whom
    /// browsers trust.
    pub async fn open(network: &dyn Network, credentials: &RelayCredentials) -> Result<Self, RelayError> {
        Self::open_trusting(network, credentials, None).await
    }

    /// The same; over TLS it trusts whom this says.
    pub async fn open_trusting(
        network: &dyn Network,
        credentials: &RelayCredentials,
        tls: Option<Arc<TlsConfig>>,
    ) -> Result<Self, RelayError> {
        let opening = async {
            let mut ways = ways(credentials).into_iter().peekable();
            while let Some(server) = ways.next() {
                let way = Way { server, tls: tls.clone() };
                let opening = Box::pin(Self::by(network, credentials, way.clone()));
                // The last one has all the time that is left.
                let patience = if ways.peek().is_some() { limits::RELAY_WAY } else { limits::RELAY };
                match timeout(patience, opening).await {
                    Ok(Err(trouble)) if trouble.is_answer() || ways.peek().is_none() => return Err(trouble),
                    Ok(Ok(allocation)) => return Ok(allocation),
                    other @ (Ok(Err(_)) | Err(_)) => {
                        let trouble = other.err();
                        tracing::debug!(server = ?way.server, ?trouble, "the relay is tried in another way");
                    }
                }
            }
            Err(RelayError::Deadline)
        };
        timeout(limits::RELAY, opening).await.unwrap_or(Err(RelayError::Deadline))
    }

    async fn by(network: &dyn Network, credentials: &RelayCredentials, way: Way) -> Result<Self, RelayError> {
        let mut driver = Driver::new(way.open(network).await?, credentials);
        let relayed = poll_fn(|cx| driver.poll_allocated(cx)).await?;
        Ok(Self { relayed, way, driver: Arc::new(Mutex::new(driver)) })
    }

    /// The address that the relay gave.
    pub const fn relayed(&self) -> SocketAddr {
        self.relayed
    }

    /// The address that the relay sees this device under; the relay's own if it does not say.
    pub fn observed(&self) -> SocketAddr {
        self.driver().observed().unwrap_or(self.relayed)
    }

    /// Whether the relay keeps the address for this device, or does so again where it sees it now. False if it does not
    /// say so soon.
    pub(crate) async fn is_kept(&self) -> bool {
        let asked = self.driver().ask();
        matches!(timeout(limits::LEG, asked).await, Ok(Ok(())))
    }

    /// Takes the address along to where this device is now, over a socket or connection of its own. False if the relay
    /// does not let it: then the address is of no use any more.
    pub(crate) async fn follow(&self, network: &dyn Network) -> bool {
        let following = async {
            let carrier = self.way.open(network).await.ok()?;
            let asked = self.driver().follow(carrier);
            asked.await.ok()
        };
        matches!(timeout(limits::FOLLOW, following).await, Ok(Some(())))
    }

    fn driver(&self) -> MutexGuard<'_, Driver> {
        lock(&self.driver)
    }
}

/// Nothing in there is left half done by a panic of its holder.
fn lock(driver: &Mutex<Driver>) -> MutexGuard<'_, Driver> {
    driver.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RelayError {
    /// Whether the relay has answered: another way leads to the same answer.
    const fn is_answer(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::NoAddress)
    }
}

impl From<Why> for RelayError {
    fn from(why: Why) -> Self {
        match why {
            Why::Refused(code) => Self::Refused { code },
            Why::NoAddress => Self::NoAddress,
            Why::Silence | Why::Ended => Self::Deadline,
        }
    }
}

impl DatagramSocket for Allocation {
    fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.driver().send_to(datagram, to)
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<SocketAddr>> {
        let mut driver = self.driver();
        driver.is_received_by(cx);
        loop {
            match ready!(driver.poll(cx, buffer)) {
                Heard::Data(from) => return Poll::Ready(Ok(from)),
                Heard::Event(event) => driver.take(&event),
            }
        }
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        Some(self.relayed)
    }

    fn host_addresses(&self) -> Vec<SocketAddr> {
        Vec::new()
    }
}

impl fmt::Debug for Allocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Allocation").field("relayed", &self.relayed).finish_non_exhaustive()
    }
}

/// Sends what is still to be sent, and gives the address back.
impl Drop for Allocation {
    fn drop(&mut self) {
        // Outside of a runtime there is nothing that could still run.
        let Ok(runtime) = Handle::try_current() else { return };
        TaskTracker::new().spawn_on(farewell(Arc::clone(&self.driver)), &runtime);
    }
}

async fn farewell(driver: Arc<Mutex<Driver>>) {
    // A relay that is gone does not keep it.
    _ = timeout(limits::LAST_DATAGRAMS, poll_fn(|cx| lock(&driver).poll_sent(cx))).await;
    lock(&driver).give_back();
    _ = timeout(limits::LAST_DATAGRAMS, poll_fn(|cx| lock(&driver).poll_over(cx))).await;
}

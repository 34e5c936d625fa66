//! A call: encrypted datagrams between the two sides of an accepted invite.
//!
//! Before invite or accept, each side [prepares](Prepared::new): it opens the socket that will carry
//! the data, asks CDX what it sees of it, and makes a key for this one session. When the invite is
//! accepted, each side [starts](Call::start) the call with what it prepared. The path is direct where
//! the host's verdict says so and a path is found in time; otherwise it goes through the relay, which
//! either side may ask for, without a second ring (NAT-4). Both paths carry the same checks and the
//! same encryption. When the host says that the session is over, the call ends by itself.
//!
//! While the call runs, a direct path is looked for beside the relay and taken when there is one; a path that
//! answers no more is looked for anew, and the host and the other side are told where this device is (NAT-5).
//! Datagrams under way on the former path still arrive. A call that carries nothing says that it lives as seldom as the
//! NATs allow, where the client has [surveyed](Client::survey) its network.
//!
//! Datagrams of at most [`MAX_DATAGRAM`] bytes go as they do in a network: they may be lost, and
//! arrive in another order; none arrives twice, or changed, or from somebody else.

use core::net::SocketAddr;
use std::{io, sync::Arc};

use switchhook_protocol::{
    call::PathKind, connection_data::ConnectionData, invitation::Accepted, peer::SessionKey,
};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use self::{engine::Engine, live::Live};
pub use crate::secure::{KeyError, MAX_DATAGRAM, Side};
use crate::{
    client::{CallError, Client},
    gather::{Gathered, Observer, look},
    limits,
    network::{DatagramSocket, Network},
    relay::RelayError,
    secure::SessionSecret,
};

mod attempt;
mod carry;
mod engine;
mod footing;
mod guess;
mod inbox;
mod live;
mod relaying;
mod way;
mod whereabouts;

/// What one side has ready before it invites or accepts.
#[derive(Debug)]
pub struct Prepared {
    socket: Arc<dyn DatagramSocket>,
    secret: SessionSecret,
    observer: Observer,
    gathered: Gathered,
    session_key: SessionKey,
}

/// Datagrams to and from the other side. Dropped, it says goodbye.
#[derive(Debug)]
pub struct Call {
    sender: CallSender,
    received: Receiver<Vec<u8>>,
    wishes: Sender<Wish>,
    tasks: TaskTracker,
    stop: DropGuard,
}

/// What the application wants of a running call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// The other side may know where this device is.
    ShowAddress,
}

/// Sends datagrams of a call; clones send for the same call.
#[derive(Debug, Clone)]
pub struct CallSender {
    live: Arc<Live>,
}

/// Why there is no call.
#[derive(Debug, thiserror::Error)]
pub enum CallFailed {
    /// The network gives no socket.
    #[error("no socket: {0}")]
    Socket(#[from] io::Error),
    /// A key is wrong; a peer's that is not signed may be somebody else's.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The host did not do its part.
    #[error(transparent)]
    Host(#[from] CallError),
    /// The relay did not do its part.
    #[error(transparent)]
    Relay(#[from] RelayError),
    /// The session was over before a path was found.
    #[error("the session is over")]
    Ended,
    /// No datagram found its way, not even through the relay.
    #[error("no path to the other side was found")]
    NoPath,
}

/// Why a datagram was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It has more than [`MAX_DATAGRAM`] bytes.
    #[error("a datagram has at most {MAX_DATAGRAM} bytes")]
    TooLarge,
    /// The call is over.
    #[error("the call is over")]
    Over,
}

impl Prepared {
    /// Opens a socket, asks CDX about it, and makes the session's key.
    pub async fn new(client: &Client, network: &dyn Network) -> Result<Self, CallFailed> {
        let socket = network.bind()?;
        let secret = SessionSecret::generate()?;
        let session_key = secret.session_key(&client.identity().key, client.tenant());
        let observer = Observer::of(&client.welcome().await?);
        let mut gathered = look(&*socket, &observer).await;
        client.networks().claim(&socket.host_addresses(), &mut gathered.connection_data.claimed);
        Ok(Self { socket, secret, observer, gathered, session_key })
    }

    /// Who this device is on the network: for invite or accept.
    pub const fn connection_data(&self) -> &ConnectionData {
        &self.gathered.connection_data
    }

    /// This device's key for the session: for invite or accept.
    pub const fn session_key(&self) -> &SessionKey {
        &self.session_key
    }
}

impl Call {
    /// Finds a path to the other side and agrees on keys with it. `accepted` is the answer to accept
    /// for the callee, and what the event `accept` brought for the inviter.
    pub async fn start(
        client: &Client,
        network: Arc<dyn Network>,
        prepared: Prepared,
        side: Side,
        accepted: Accepted,
    ) -> Result<Self, CallFailed> {
        let mut engine = Box::new(Engine::new(client.clone(), network, prepared, side, accepted)?);
        let first = Box::pin(engine.establish()).await?;
        let live = Arc::new(Live::new(first.path()));
        let (datagrams, received) = channel(limits::DATAGRAMS);
        let (wishes, wanted) = channel(limits::WISHES);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(engine.run(first, Arc::clone(&live), (datagrams, wanted), stop.clone()));
        Ok(Self { sender: CallSender { live }, received, wishes, tasks, stop: stop.drop_guard() })
    }

    /// Sends a datagram; see [`CallSender::send`].
    pub fn send(&self, datagram: &[u8]) -> Result<(), SendError> {
        self.sender.send(datagram)
    }

    /// The next datagram of the other side; none when the call is over.
    pub async fn recv(&mut self) -> Option<Vec<u8>> {
        self.received.recv().await
    }

    /// Sends from elsewhere.
    pub fn sender(&self) -> CallSender {
        self.sender.clone()
    }

    /// Lets the inviter know where this device is, where it accepted the invite and the verdict was the relay until then
    /// ([`until_accepted`](switchhook_protocol::peer::Path::Relay::until_accepted)): a direct path is looked for from
    /// here on. Anywhere else it changes nothing.
    pub fn show_address(&self) {
        // Full, it has been said; closed, there is nobody to be shown to.
        _ = self.wishes.try_send(Wish::ShowAddress);
    }

    /// Which kind of path the call takes at present; none when it is over.
    pub fn path(&self) -> Option<PathKind> {
        self.sender.live.get().map(|path| path.kind)
    }

    /// Where the other side is, or its relay; none when the call is over.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.sender.live.get().map(|path| path.established.peer)
    }

    /// Waits until the path in use is a wanted one, by its kind and by where the other side, or its relay, is; nothing is
    /// what there is when the call is over.
    pub async fn path_becomes(&self, wanted: impl Fn(Option<(PathKind, SocketAddr)>) -> bool + Send) {
        self.sender.live.becomes(wanted).await;
    }

    /// Says goodbye and lets the path go; nothing of the call runs when this returns, but for the
    /// giving back of an allocation, and a last word to the host of which path worked.
    pub async fn close(self) {
        self.stop.disarm().cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl CallSender {
    /// Sends a datagram, or loses it, as a network may. Never waits.
    pub fn send(&self, datagram: &[u8]) -> Result<(), SendError> {
        if datagram.len() > MAX_DATAGRAM {
            return Err(SendError::TooLarge);
        }
        if self.live.send(datagram) { Ok(()) } else { Err(SendError::Over) }
    }
}

//! The way through a relay, over the client's own way out: TURN (RFC 8656) in datagrams, or where none gets out over TCP,
//! and where nothing else does over TLS (REL-2, REL-4).
//!
//! An [`Allocation`] is a [`DatagramSocket`] like any other: what is sent goes out at the relay's
//! address, what comes in there is received. Checks and encryption run over it as over a direct
//! path. The first datagram to a peer gives the relay the permission for that peer.
//!
//! The TURN client of the crate `turn` waits where a datagram socket must not, so two tasks stand
//! between; it also stops at the first datagram that is no answer, so it is shown only answers.

mod datagrams;
pub(crate) mod stream;

use core::{
    fmt,
    net::SocketAddr,
    task::{Context, Poll},
};
use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{ClientConfig as TlsConfig, pki_types::ServerName};
use switchhook_protocol::relay::{RelayCredentials, RelayServer, Transport};
use tokio::{
    io::ReadBuf,
    net::TcpStream,
    runtime::Handle,
    sync::mpsc::{Receiver, Sender, channel},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use turn::client::{Client as TurnClient, ClientConfig};
use webrtc_util::Conn;

use self::{datagrams::Datagrams, stream::Messages};
use crate::{
    connection::dial::{DialError, web_tls},
    limits,
    network::{DatagramSocket, Network},
    stun::is_answer_or_indication,
};

/// Why there is no allocation.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The network gives no socket.
    #[error("no socket: {0}")]
    Socket(#[from] io::Error),
    /// The relay refused, or TURN failed.
    #[error("the relay gives no allocation: {0}")]
    Turn(#[from] turn::Error),
    /// TLS cannot be set up, or leads to a relay of another name.
    #[error("no TLS to the relay: {0}")]
    Tls(String),
    /// The relay did not answer in time.
    #[error("the relay did not answer in time")]
    Deadline,
}

/// An address at a relay.
pub struct Allocation {
    relayed: SocketAddr,
    observed: SocketAddr,
    outbound: Sender<(Vec<u8>, SocketAddr)>,
    inbound: Mutex<Receiver<(Vec<u8>, SocketAddr)>>,
    _receiving: AbortOnDropHandle<()>,
    guard: Guard,
}

type Relayed = Arc<dyn Conn + Send + Sync>;

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
                let way = Box::pin(Self::by(network, credentials, (&server, tls.as_ref())));
                // The last one has all the time that is left.
                let patience = if ways.peek().is_some() { limits::RELAY_WAY } else { limits::RELAY };
                match timeout(patience, way).await {
                    Ok(Err(trouble)) if trouble.is_answer() || ways.peek().is_none() => return Err(trouble),
                    Ok(Ok(allocation)) => return Ok(allocation),
                    other @ (Ok(Err(_)) | Err(_)) => {
                        tracing::debug!(?server, trouble = ?other.err(), "the relay is tried in another way");
                    }
                }
            }
            Err(RelayError::Deadline)
        };
        timeout(limits::RELAY, opening).await.unwrap_or(Err(RelayError::Deadline))
    }

    async fn by(
        network: &dyn Network,
        credentials: &RelayCredentials,
        (server, tls): (&RelayServer, Option<&Arc<TlsConfig>>),
    ) -> Result<Self, RelayError> {
        let addr = server.addr;
        let socket: Relayed = match server.transport {
            Transport::Udp => Arc::new(Datagrams { socket: network.bind()?, server: addr }),
            Transport::Tcp => Arc::new(Messages::new(addr, Box::new(connect(network, addr).await?))),
            Transport::Tls => {
                Arc::new(Messages::new(addr, Box::new(connect_by_tls(network, server, tls).await?)))
            }
            Transport::Unknown => return Err(io::Error::from(io::ErrorKind::Unsupported).into()),
        };
        Self::allocate(socket, addr, credentials).await
    }

    /// The address that the relay gave.
    pub const fn relayed(&self) -> SocketAddr {
        self.relayed
    }

    /// The address that the relay sees this device under; the relay's own if it does not say.
    pub const fn observed(&self) -> SocketAddr {
        self.observed
    }

    /// Whether the relay still sees this device where it was when it gave the address. It keeps an address for that place
    /// alone.
    pub(crate) async fn is_seen_as_before(&self) -> bool {
        let seen = timeout(limits::LEG, self.guard.client.send_binding_request()).await;
        matches!(seen, Ok(Ok(seen)) if seen == self.observed)
    }

    async fn allocate(
        socket: Relayed,
        server: SocketAddr,
        credentials: &RelayCredentials,
    ) -> Result<Self, RelayError> {
        let client = TurnClient::new(ClientConfig {
            stun_serv_addr: server.to_string(),
            turn_serv_addr: server.to_string(),
            username: credentials.username.clone(),
            password: credentials.password.clone(),
            realm: credentials.realm.clone(),
            software: String::new(),
            rto_in_ms: 0,
            conn: socket,
            vnet: None,
        })
        .await?;
        let guard = Guard { client: client.clone(), sending: None, tasks: TaskTracker::new() };
        client.listen().await?;
        let relayed: Relayed = Arc::new(client.allocate().await?);
        let address = relayed.local_addr().map_err(|error| io::Error::other(error.to_string()))?;
        // For the other side's information; a relay that answers no Binding relays all the same.
        let observed = timeout(limits::CDX_RTO * 4, client.send_binding_request()).await;
        let observed = observed.ok().and_then(Result::ok).unwrap_or(address);
        Ok(Self::running(guard, relayed, address, observed))
    }

    fn running(mut guard: Guard, conn: Relayed, relayed: SocketAddr, observed: SocketAddr) -> Self {
        let (outbound, to_send) = channel(limits::DATAGRAMS);
        let (received, inbound) = channel(limits::DATAGRAMS);
        let sending = guard.tasks.spawn(send_all(Arc::clone(&conn), to_send));
        guard.sending = Some((sending, Arc::clone(&conn)));
        let receiving = AbortOnDropHandle::new(guard.tasks.spawn(receive_all(conn, received)));
        let inbound = Mutex::new(inbound);
        Self { relayed, observed, outbound, inbound, _receiving: receiving, guard }
    }
}

/// The ways of these credentials that this version knows.
fn ways(credentials: &RelayCredentials) -> Vec<RelayServer> {
    let known = |server: &&RelayServer| server.transport != Transport::Unknown;
    let ways: Vec<_> = credentials.servers.iter().filter(known).take(limits::RELAY_WAYS).cloned().collect();
    let only = RelayServer { transport: Transport::Udp, addr: credentials.server, name: None };
    if ways.is_empty() { vec![only] } else { ways }
}

async fn connect(network: &dyn Network, addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = network.connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn connect_by_tls(
    network: &dyn Network,
    server: &RelayServer,
    tls: Option<&Arc<TlsConfig>>,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, RelayError> {
    let name = server.name.clone().unwrap_or_else(|| server.addr.ip().to_string());
    let name = ServerName::try_from(name).map_err(|error| RelayError::Tls(error.to_string()))?;
    let tls = match tls {
        Some(tls) => Arc::clone(tls),
        None => web_tls().map_err(|error: DialError| RelayError::Tls(error.to_string()))?,
    };
    let mut config = TlsConfig::clone(&tls);
    config.alpn_protocols = vec![ALPN.to_vec()];
    let stream = connect(network, server.addr).await?;
    let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    shaken.map_err(|error| RelayError::Tls(error.to_string()))
}

/// TURN in the handshake of TLS (RFC 7443).
const ALPN: &[u8] = b"stun.turn";

/// Whether the crate's client may see a message: it stops at the first that is neither data nor an answer.
fn is_for_client(message: &[u8]) -> bool {
    let channel = message.first().is_some_and(|first| (0x40..0x80).contains(first));
    channel || is_answer_or_indication(message)
}

/// No address, of this one's family.
fn any_of(addr: SocketAddr) -> SocketAddr {
    if addr.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() }
}

impl RelayError {
    /// Whether the relay has answered: another way leads to the same answer.
    const fn is_answer(&self) -> bool {
        matches!(self, Self::Turn(turn::Error::Other(_)))
    }
}

async fn send_all(relayed: Relayed, mut to_send: Receiver<(Vec<u8>, SocketAddr)>) {
    while let Some((datagram, to)) = to_send.recv().await {
        if let Err(error) = relayed.send_to(&datagram, to).await {
            tracing::debug!(%error, "the relay takes no datagram");
        }
    }
}

async fn receive_all(relayed: Relayed, received: Sender<(Vec<u8>, SocketAddr)>) {
    let mut buffer = vec![0; 65_536];
    while let Ok((length, from)) = relayed.recv_from(&mut buffer).await {
        let datagram = buffer.get(..length).unwrap_or_default().to_vec();
        // Full, the newest is lost, as in a network.
        if received.try_send((datagram, from)).is_err() && received.is_closed() {
            return;
        }
    }
}

impl DatagramSocket for Allocation {
    fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        let full_or_over = self.outbound.try_send((datagram.to_vec(), to)).is_err();
        if full_or_over && self.outbound.is_closed() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(())
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<SocketAddr>> {
        let mut inbound = self.inbound.lock().unwrap_or_else(PoisonError::into_inner);
        match inbound.poll_recv(cx) {
            Poll::Ready(Some((datagram, from))) => {
                buffer.put_slice(datagram.get(..buffer.remaining()).unwrap_or(&datagram));
                Poll::Ready(Ok(from))
            }
            Poll::Ready(None) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Poll::Pending => Poll::Pending,
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
        let mut form = f.debug_struct("Allocation");
        form.field("relayed", &self.relayed).field("observed", &self.observed).finish_non_exhaustive()
    }
}

/// Sends what is still to be sent, gives the allocation back, and ends the TURN client's own tasks,
/// on whatever way it ends.
struct Guard {
    client: TurnClient,
    sending: Option<(JoinHandle<()>, Relayed)>,
    tasks: TaskTracker,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Outside of a runtime there is nothing that could still run.
        let Ok(runtime) = Handle::try_current() else { return };
        let farewell = farewell(self.client.clone(), self.sending.take());
        self.tasks.spawn_on(farewell, &runtime);
    }
}

async fn farewell(client: TurnClient, sending: Option<(JoinHandle<()>, Relayed)>) {
    if let Some((mut sending, relayed)) = sending {
        // Its queue has no sender any more, so it ends; a relay that is gone does not keep it.
        if timeout(limits::LAST_DATAGRAMS, &mut sending).await.is_err() {
            sending.abort();
        }
        _ = timeout(limits::LAST_DATAGRAMS, relayed.close()).await;
    }
    _ = client.close().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(servers: &str) -> RelayCredentials {
        let text = format!(
            r#"{{"server":"192.0.2.10:3478","servers":{servers},"realm":"r","username":"u","password":"p","expires_in_ms":1}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn rel_3_a_transport_of_a_later_version_is_passed_over_and_takes_no_others_place() {
        let strange = r#"{"transport":"quic","addr":"192.0.2.10:443"}"#;
        let known = r#"{"transport":"tcp","addr":"192.0.2.10:3478"}"#;
        let many = [strange; limits::RELAY_WAYS].join(",");

        let mixed = ways(&credentials(&format!("[{many},{known}]")));

        assert_eq!(mixed.iter().map(|way| way.transport).collect::<Vec<_>>(), [Transport::Tcp]);
        // UDP is what every relay host has.
        let plain =
            RelayServer { transport: Transport::Udp, addr: "192.0.2.10:3478".parse().unwrap(), name: None };
        for nothing_known in [format!("[{many}]"), "[]".to_owned()] {
            assert_eq!(ways(&credentials(&nothing_known)), core::slice::from_ref(&plain));
        }
    }
}

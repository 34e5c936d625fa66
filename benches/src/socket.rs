//! Sockets of a load generator: plain or through TLS, from as many loopback addresses as it takes.

use std::{
    net::{Ipv4Addr, SocketAddr},
    ops::Range,
    sync::Arc,
};

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _, stream};
use rustls::ClientConfig;
use switchhook_protocol::SUBPROTOCOL;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config,
    tungstenite::{
        Message, Utf8Bytes,
        client::IntoClientRequest as _,
        http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL},
        protocol::WebSocketConfig,
    },
};

/// Sockets that are opened at the same time.
const AT_ONCE: usize = 64;

/// Addresses that sockets come from: ports of one do not suffice for rounds of ten thousand, nor the
/// places that a server has for one.
const SOURCES: u32 = 20;

/// Where a server answers, and by which certificate.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) addr: SocketAddr,
    /// None: without TLS.
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

/// A WebSocket.
pub(crate) struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Door {
    /// Without TLS.
    pub(crate) const fn plain(addr: SocketAddr) -> Self {
        Self { addr, tls: None }
    }
}

impl Socket {
    /// Opens the socket of this number in our protocol.
    pub(crate) async fn connect(door: &Door, number: u32, path: &str) -> anyhow::Result<Self> {
        Self::connect_by(door, number, path, SUBPROTOCOL).await
    }

    /// Opens the socket of this number in a protocol.
    pub(crate) async fn connect_by(
        door: &Door,
        number: u32,
        path: &str,
        protocol: &'static str,
    ) -> anyhow::Result<Self> {
        let Door { addr, tls } = door;
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((source(number), 0)))?;
        let stream = socket.connect(*addr).await?;
        stream.set_nodelay(true)?;
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        let mut request = format!("{scheme}://{addr}{path}").into_client_request()?;
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        // Thousands of them are in this process.
        let config = WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(0);
        let connector = tls.clone().map_or(Connector::Plain, Connector::Rustls);
        let opening = client_async_tls_with_config(request, stream, Some(config), Some(connector));
        Ok(Self(Box::pin(opening).await?.0))
    }

    pub(crate) async fn say(&mut self, text: impl Into<Utf8Bytes>) -> anyhow::Result<()> {
        Ok(self.0.send(Message::Text(text.into())).await?)
    }

    /// The next text; pings are answered on the way.
    pub(crate) async fn hear(&mut self) -> anyhow::Result<Utf8Bytes> {
        loop {
            match self.next().await? {
                Message::Text(text) => return Ok(text),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) => {}
                other @ (Message::Close(_) | Message::Frame(_)) => anyhow::bail!("the server said {other}"),
            }
        }
    }

    /// Waits until the server pings; an error if it says something before.
    pub(crate) async fn pinged(&mut self) -> anyhow::Result<()> {
        loop {
            match self.next().await? {
                Message::Ping(_) => return Ok(()),
                Message::Pong(_) => {}
                other @ (Message::Text(_) | Message::Binary(_) | Message::Close(_) | Message::Frame(_)) => {
                    anyhow::bail!("the server said {other}")
                }
            }
        }
    }

    /// Says something that is not text, and hears the answer.
    pub(crate) async fn ask_bytes(&mut self, bytes: Vec<u8>) -> anyhow::Result<Bytes> {
        self.0.send(Message::Binary(bytes.into())).await?;
        match self.next().await? {
            Message::Binary(bytes) => Ok(bytes),
            other @ (Message::Text(_)
            | Message::Ping(_)
            | Message::Pong(_)
            | Message::Close(_)
            | Message::Frame(_)) => anyhow::bail!("the server said {other}"),
        }
    }

    async fn next(&mut self) -> anyhow::Result<Message> {
        Ok(self.0.next().await.context("the server left")??)
    }
}

/// Opens many, some at a time; in no order.
pub(crate) fn open<T, Opening: Future<Output = anyhow::Result<T>>>(
    numbers: Range<u32>,
    connect: impl Fn(u32) -> Opening,
) -> impl stream::Stream<Item = anyhow::Result<T>> {
    stream::iter(numbers).map(connect).buffer_unordered(AT_ONCE)
}

/// Where the socket of this number comes from.
fn source(number: u32) -> Ipv4Addr {
    let last = u8::try_from(number % SOURCES).unwrap_or_default();
    Ipv4Addr::new(127, 0, 0, 2 + last)
}

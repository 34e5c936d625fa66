//! A device of a load generator: as little work as the protocol allows, so that the server has the rest.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
};

use anyhow::Context as _;
use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use switchhook_client::identity::DeviceKey;
use switchhook_protocol::{
    SUBPROTOCOL,
    client::{ClientMessage, Hello, Said},
    device_key::Statement,
    endpoint::EndpointId,
    id::{DeviceId, PushToken, TenantId},
    server::ServerMessage,
};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Message, Utf8Bytes,
        client::IntoClientRequest as _,
        http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL},
        protocol::WebSocketConfig,
    },
};

/// A device that the server knows.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) id: DeviceId,
    pub(crate) push_token: PushToken,
    pub(crate) endpoint: EndpointId,
}

/// A WebSocket of the generator.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

/// What the generator reads of a frame.
#[derive(Deserialize)]
pub(crate) struct Head<'a> {
    #[serde(rename = "type", borrow)]
    pub(crate) kind: &'a str,
    /// Of an event.
    pub(crate) seq: Option<u64>,
    /// Of an answer.
    pub(crate) error: Option<&'a serde_json::value::RawValue>,
}

impl Device {
    /// The device of this number.
    pub(crate) fn numbered(number: u32) -> anyhow::Result<Self> {
        Ok(Self {
            id: format!("device-{number}").parse()?,
            push_token: format!("token-{number}").parse()?,
            endpoint: format!("+1555{number:07}").parse()?,
        })
    }

    /// Connects, proves who it is, and waits for the welcome.
    pub(crate) async fn connect(
        &self,
        server: SocketAddr,
        from: Ipv4Addr,
        (tenant, key): (&TenantId, &DeviceKey),
    ) -> anyhow::Result<Socket> {
        let mut socket = Socket::connect(server, from, format!("/v1/{tenant}/connect")).await?;
        let challenge = ServerMessage::decode(&socket.hear().await?)?;
        let Some(ServerMessage::Challenge(challenge)) = challenge else { anyhow::bail!("{challenge:?}") };
        let (device, push_token) = (&self.id, &self.push_token);
        let statement = Statement::Hello { nonce: &challenge.nonce, tenant, device, push_token };
        let proof = key.sign(&statement);
        let hello = Hello { device: device.clone(), push_token: push_token.clone(), proof, cursor: None };
        socket.say(ClientMessage::say(&Said::Hello(&hello))?).await?;
        let welcome = ServerMessage::decode(&socket.hear().await?)?;
        anyhow::ensure!(matches!(welcome, Some(ServerMessage::Welcome(_))), "{welcome:?}");
        Ok(socket)
    }
}

impl Socket {
    /// Opens a WebSocket from an address of this machine: each has ports of its own.
    pub(crate) async fn connect(
        server: SocketAddr,
        from: Ipv4Addr,
        path: impl fmt::Display,
    ) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((from, 0)))?;
        let stream = socket.connect(server).await?;
        stream.set_nodelay(true)?;
        let mut request = format!("ws://{server}{path}").into_client_request()?;
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        // Ten thousand of them are in this process.
        let config = WebSocketConfig::default().read_buffer_size(1024).write_buffer_size(0);
        let (socket, _) = client_async_with_config(request, stream, Some(config)).await?;
        Ok(Self(socket))
    }

    pub(crate) async fn say(&mut self, text: impl Into<Utf8Bytes>) -> anyhow::Result<()> {
        Ok(self.0.send(Message::Text(text.into())).await?)
    }

    /// The next text; pings are answered on the way.
    pub(crate) async fn hear(&mut self) -> anyhow::Result<Utf8Bytes> {
        loop {
            match self.0.next().await.context("the server left")?? {
                Message::Text(text) => return Ok(text),
                Message::Close(why) => anyhow::bail!("the server closed: {why:?}"),
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }
}

impl<'a> Head<'a> {
    pub(crate) fn of(text: &'a str) -> anyhow::Result<Self> {
        Ok(serde_json::from_str(text)?)
    }
}

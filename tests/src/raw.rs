//! A socket that says whatever a test wants.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, Result, bail};
use futures_util::{SinkExt as _, StreamExt as _, stream};
use serde_json::{Value, json};
use switchhook_client::identity::Identity;
use switchhook_protocol::{SUBPROTOCOL, client::Hello, device_key::Statement, id::TenantId};
use tokio::net::TcpStream;
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config,
    tungstenite::{
        self, Message,
        client::IntoClientRequest as _,
        handshake::client::Request,
        http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL},
    },
};

use crate::waiting::in_time;

/// An open WebSocket.
#[derive(Debug)]
pub struct Raw {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// What the host said.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A text frame.
    Message(Value),
    /// It closed, with this code.
    Closed(u16),
    /// The connection is gone without a code.
    Gone,
}

/// What came instead of a WebSocket: HTTP status and the code of the problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSocket {
    /// HTTP status.
    pub status: u16,
    /// Code of the problem, where there is one.
    pub code: String,
}

impl Raw {
    /// Opens a socket as the protocol says.
    pub async fn connect(host: SocketAddr, tenant: &str) -> Result<Self> {
        match Self::try_connect(host, tenant, Some(SUBPROTOCOL)).await? {
            Ok(raw) => Ok(raw),
            Err(no) => bail!("no socket: {no:?}"),
        }
    }

    /// Opens a socket with this subprotocol.
    pub async fn try_connect(
        host: SocketAddr,
        tenant: &str,
        subprotocol: Option<&str>,
    ) -> Result<Result<Self, NoSocket>> {
        let request = format!("ws://{host}/v1/{tenant}/connect").into_client_request()?;
        Self::open(request, subprotocol, Connector::Plain).await
    }

    /// Opens a socket as a proxy does, for a client at this address.
    pub async fn forwarded(host: SocketAddr, tenant: &str, client: &str) -> Result<Result<Self, NoSocket>> {
        let mut request = format!("ws://{host}/v1/{tenant}/connect").into_client_request()?;
        request.headers_mut().insert("x-forwarded-for", HeaderValue::from_str(client)?);
        Self::open(request, Some(SUBPROTOCOL), Connector::Plain).await
    }

    /// Opens a socket over TLS, to a server that this authority (in PEM) has certified.
    pub async fn over_tls(port: u16, tenant: &str, authority: &str) -> Result<Self> {
        let connector = Connector::Rustls(Arc::new(trusting(authority)?));
        let url = format!("wss://localhost:{port}/v1/{tenant}/connect");
        match Self::open(url.into_client_request()?, Some(SUBPROTOCOL), connector).await? {
            Ok(raw) => Ok(raw),
            Err(no) => bail!("no socket: {no:?}"),
        }
    }

    async fn open(
        mut request: Request,
        subprotocol: Option<&str>,
        connector: Connector,
    ) -> Result<Result<Self, NoSocket>> {
        if let Some(subprotocol) = subprotocol {
            request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(subprotocol)?);
        }
        let opened = connect_async_tls_with_config(request, None, false, Some(connector));
        match in_time("the socket", Box::pin(opened)).await? {
            Ok((socket, _)) => Ok(Ok(Self { socket })),
            Err(tungstenite::Error::Http(answer)) => {
                let body = answer.body().clone().unwrap_or_default();
                let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
                Ok(Err(NoSocket { status: answer.status().as_u16(), code: code_of(&problem) }))
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Says a text frame.
    pub async fn say(&mut self, text: impl Into<String>) -> Result<()> {
        Ok(self.socket.send(Message::text(text.into())).await?)
    }

    /// Says a text frame again and again and reads nothing, until the connection breaks.
    pub async fn pour(&mut self, text: &str) -> Result<()> {
        loop {
            self.say(text).await?;
        }
    }

    /// Says a binary frame.
    pub async fn say_binary(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.socket.send(Message::binary(bytes.to_vec())).await?)
    }

    /// What the host says next.
    pub async fn hear(&mut self) -> Result<Heard> {
        loop {
            return Ok(match in_time("a frame", self.socket.next()).await? {
                Some(Ok(Message::Text(text))) => Heard::Message(serde_json::from_str(&text)?),
                Some(Ok(Message::Close(Some(frame)))) => Heard::Closed(frame.code.into()),
                Some(Ok(Message::Close(None)) | Err(_)) | None => Heard::Gone,
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                    continue;
                }
            });
        }
    }

    /// The next message.
    pub async fn message(&mut self) -> Result<Value> {
        match self.hear().await? {
            Heard::Message(message) => Ok(message),
            other @ (Heard::Closed(_) | Heard::Gone) => bail!("no message: {other:?}"),
        }
    }

    /// The close code; messages before it are passed over.
    pub async fn close_code(&mut self) -> Result<u16> {
        loop {
            match self.hear().await? {
                Heard::Closed(code) => return Ok(code),
                Heard::Message(_) => {}
                Heard::Gone => bail!("gone without a code"),
            }
        }
    }

    /// The nonce of the challenge, which is the first message.
    pub async fn challenge(&mut self) -> Result<String> {
        let message = self.message().await?;
        let nonce = message.get("nonce").and_then(Value::as_str);
        Ok(nonce.context("no challenge")?.to_owned())
    }

    /// A socket of this device, its mailbox open.
    pub async fn welcomed(host: SocketAddr, tenant: &TenantId, identity: &Identity) -> Result<Self> {
        Self::connect(host, tenant.as_str()).await?.greeted(tenant, identity).await
    }

    /// The socket of this device from now on, its mailbox open.
    pub async fn greeted(mut self, tenant: &TenantId, identity: &Identity) -> Result<Self> {
        let nonce = self.challenge().await?;
        self.say(hello(&nonce, tenant, identity)?.to_string()).await?;
        let welcome = self.message().await?;
        if welcome.get("type") != Some(&json!("welcome")) {
            bail!("no welcome: {welcome}");
        }
        Ok(self)
    }

    /// Sends a request and gets its answer, past events.
    pub async fn request(&mut self, op: &str, body: Value) -> Result<Value> {
        self.say(json!({ "type": "request", "id": "r", "op": op, "body": body }).to_string()).await?;
        loop {
            let message = self.message().await?;
            if message.get("id") == Some(&json!("r")) {
                return Ok(message);
            }
        }
    }

    /// Says a request again and again without waiting, and hears all the answers, events passed over.
    pub async fn flood(&mut self, request: &Value, times: usize) -> Result<Vec<Value>> {
        let (mut sink, mut stream) = (&mut self.socket).split();
        let frame = Message::text(request.to_string());
        let say = async {
            let mut frames = stream::iter(std::iter::repeat_n(frame, times).map(Ok));
            sink.send_all(&mut frames).await
        };
        let hear = async {
            let mut answers = Vec::new();
            while answers.len() < times {
                let frame = in_time("an answer", stream.next()).await?.context("the socket is gone")??;
                let said: Value = serde_json::from_str(frame.to_text()?).unwrap_or_default();
                answers.extend((said.get("id") == request.get("id")).then_some(said));
            }
            anyhow::Ok(answers)
        };
        let (said, answers) = tokio::join!(say, hear);
        said?;
        answers
    }

    /// Whether the connection still serves.
    pub async fn serves(&mut self) -> Result<bool> {
        let answer = self.request("sync", json!({})).await?;
        Ok(answer.get("ok").is_some())
    }
}

/// The `hello` of a device.
pub fn hello(nonce: &str, tenant: &TenantId, identity: &Identity) -> Result<Value> {
    let Identity { key, device, push_token, .. } = identity;
    let hello = Hello {
        device: device.clone(),
        push_token: push_token.clone(),
        proof: key.sign(&Statement::Hello { nonce, tenant, device, push_token }),
        cursor: None,
        dials_from: None,
    };
    let mut said = serde_json::to_value(hello)?;
    if let Some(fields) = said.as_object_mut() {
        fields.insert("type".to_owned(), json!("hello"));
    }
    Ok(said)
}

/// The error code of a problem, of an error, or of an answer.
pub fn code_of(message: &Value) -> String {
    let code = message.get("code").or_else(|| message.pointer("/error/code"));
    code.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A client of TLS that trusts this authority alone.
pub fn trusting(authority: &str) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes())?)?;
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}

//! A host for the tests of applications: it speaks the protocol, and the test says what it answers.
//!
//! [`FakeHost`] takes connections on loopback. It makes challenges, mints ids, checks proofs and says
//! `welcome` by itself, and has a CDX that seals nothing; from there on the test holds a [`FakeConnection`], reads what the client
//! says, and answers, refuses, delivers events or closes as a real host might.
#![expect(clippy::result_large_err, reason = "the form that tungstenite's callback has")]

use core::{
    fmt,
    net::{Ipv4Addr, SocketAddr},
};
use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{SinkExt as _, StreamExt as _};
use serde::Serialize;
use serde_json::value::to_raw_value;
use switchhook_protocol::{
    SUBPROTOCOL,
    call::Operation,
    client::{ClientMessage, Enrol, Hello},
    close::CloseCode,
    device_key::{DeviceKey, Statement},
    error::ErrorCode,
    event::{Delivered, Event},
    id::{ApplicationId, DeviceId, Epoch, RequestId, TenantId},
    registration::RegisterAgain,
    server::{Answer, CdxAddresses, CdxKey, Challenge, Enrolled, Resumed, ServerMessage, Welcome},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Mutex as AsyncMutex, mpsc},
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL},
        protocol::{CloseFrame, frame::coding::CloseCode as WireCode},
    },
};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::{
    network::{DatagramSocket, Network as _, SystemNetwork, recv_from},
    settings::Settings,
    stun::observation_answer,
};

/// How many greeted connections wait for the test.
const WAITING: usize = 64;

/// A host on loopback; it stops when dropped.
#[derive(Debug)]
pub struct FakeHost {
    addr: SocketAddr,
    tenant: TenantId,
    application: ApplicationId,
    greeted: AsyncMutex<mpsc::Receiver<FakeConnection>>,
    observing: Vec<AbortOnDropHandle<()>>,
    _accepting: AbortOnDropHandle<()>,
}

/// One client's connection, after `welcome`.
#[derive(Debug)]
pub struct FakeConnection {
    /// What the client said first.
    pub hello: Hello,
    epoch: Epoch,
    socket: WebSocketStream<TcpStream>,
}

/// Makes a connection key for each client, as a host does.
#[derive(Clone)]
pub struct CdxKeys(Arc<dyn Fn(&DeviceId) -> CdxKey + Send + Sync>);

impl CdxKeys {
    /// Made so.
    pub fn new(make: impl Fn(&DeviceId) -> CdxKey + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }
}

impl fmt::Debug for CdxKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CdxKeys").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Door {
    tenant: TenantId,
    application: ApplicationId,
    cdx: CdxAddresses,
    cdx_keys: Option<CdxKeys>,
    epoch: Epoch,
    devices: Mutex<HashMap<DeviceId, DeviceKey>>,
}

impl FakeHost {
    /// Starts a host with a CDX of its own, whose observations are the addresses in plain text.
    pub async fn start() -> io::Result<Self> {
        let network = SystemNetwork::on(Ipv4Addr::LOCALHOST.into());
        let sockets = [network.bind()?, network.bind()?];
        let [primary, secondary] = sockets.each_ref().map(|socket| socket.local_addr());
        let (Some(primary), Some(secondary)) = (primary, secondary) else {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        };
        let mut host = Self::with_cdx(CdxAddresses { primary, secondary, other_family: None }, None).await?;
        let tasks = TaskTracker::new();
        host.observing = sockets.map(|socket| AbortOnDropHandle::new(tasks.spawn(observe(socket)))).into();
        Ok(host)
    }

    /// Starts a host that names these addresses of CDX, and gives each client such a key for it.
    pub async fn with_cdx(cdx: CdxAddresses, cdx_keys: Option<CdxKeys>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let tenant: TenantId = "acme".parse().map_err(io::Error::other)?;
        let application: ApplicationId = "phone".parse().map_err(io::Error::other)?;
        let epoch = "epoch-1".parse().map_err(io::Error::other)?;
        let devices = Mutex::default();
        let (of, app) = (tenant.clone(), application.clone());
        let door = Door { tenant: of, application: app, cdx, cdx_keys, epoch, devices };
        let (greeted, receiver) = mpsc::channel(WAITING);
        let accepting =
            AbortOnDropHandle::new(TaskTracker::new().spawn(accept(listener, Arc::new(door), greeted)));
        let greeted = AsyncMutex::new(receiver);
        let observing = Vec::new();
        Ok(Self { addr, tenant, application, greeted, observing, _accepting: accepting })
    }

    /// Settings for a client of this host.
    pub fn settings(&self) -> Settings {
        Settings::new(format!("ws://{}", self.addr), self.tenant.clone(), self.application.clone())
    }

    /// The next client that has been welcomed; none when the host has stopped.
    pub async fn next_connection(&self) -> Option<FakeConnection> {
        self.greeted.lock().await.recv().await
    }

    /// The next connection of this device. Those of others are let go: a client that ends may have come back once more.
    pub async fn connection_of(&self, device: &DeviceId) -> Option<FakeConnection> {
        loop {
            let connection = self.next_connection().await?;
            if connection.hello.device == *device {
                return Some(connection);
            }
        }
    }
}

impl FakeConnection {
    /// What the client says next; none when the connection is over.
    pub async fn next(&mut self) -> Option<ClientMessage> {
        hear(&mut self.socket).await
    }

    /// The next request, past acks and the like; none when the connection is over.
    pub async fn next_request(&mut self) -> Option<(RequestId, Operation)> {
        loop {
            if let ClientMessage::Request(id, operation) = self.next().await? {
                return Some((id, operation));
            }
        }
    }

    /// The sequence number of the next ack, past requests and the like; none when the connection is over.
    pub async fn next_ack(&mut self) -> Option<u64> {
        loop {
            if let ClientMessage::Ack(ack) = self.next().await? {
                return Some(ack.seq);
            }
        }
    }

    /// Gives a good answer.
    pub async fn answer(&mut self, id: &RequestId, answer: &(impl Serialize + Sync)) -> io::Result<()> {
        let ok = Some(to_raw_value(answer)?);
        self.say(&ServerMessage::Answer(Answer { id: id.clone(), ok, error: None })).await
    }

    /// Says no.
    pub async fn refuse(&mut self, id: &RequestId, code: ErrorCode) -> io::Result<()> {
        let error = Some(code.into());
        self.say(&ServerMessage::Answer(Answer { id: id.clone(), ok: None, error })).await
    }

    /// Delivers an event, with a message id that goes with its sequence number.
    pub async fn deliver(&mut self, seq: u64, event: Event, expires_in_ms: Option<u64>) -> io::Result<()> {
        let message_id = format!("message-{seq}").parse().map_err(io::Error::other)?;
        let epoch = self.epoch.clone();
        self.deliver_as(Delivered { seq, epoch, message_id, redelivered: false, expires_in_ms, event }).await
    }

    /// Delivers an event as it is.
    pub async fn deliver_as(&mut self, delivered: Delivered) -> io::Result<()> {
        self.say(&ServerMessage::Event(Box::new(delivered))).await
    }

    /// Says anything.
    pub async fn say(&mut self, message: &ServerMessage) -> io::Result<()> {
        say(&mut self.socket, message).await
    }

    /// Closes with a code. Without one, drop the connection.
    pub async fn close(mut self, code: CloseCode) -> io::Result<()> {
        close(&mut self.socket, code).await
    }
}

/// One port of CDX.
async fn observe(socket: Arc<dyn DatagramSocket>) {
    let mut buffer = vec![0; 2_048];
    while let Ok((length, from)) = recv_from(&*socket, &mut buffer).await {
        let request = buffer.get(..length).unwrap_or_default();
        if let Some(answer) = observation_answer(request, from, &from.to_string()) {
            // Lost, it is asked for again.
            _ = socket.send_to(&answer, from);
        }
    }
}

async fn accept(listener: TcpListener, door: Arc<Door>, greeted: mpsc::Sender<FakeConnection>) {
    let tasks = TaskTracker::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (door, greeted) = (Arc::clone(&door), greeted.clone());
        tasks.spawn(async move {
            if let Some(connection) = door.greet(stream).await {
                // A test that has ended wants no more connections.
                _ = greeted.send(connection).await;
            }
        });
    }
}

impl Door {
    async fn greet(&self, stream: TcpStream) -> Option<FakeConnection> {
        let path = format!("/v1/{}/connect", self.tenant);
        let mut socket =
            accept_hdr_async(stream, |request: &Request, response| upgrade(&path, request, response))
                .await
                .ok()?;
        let nonce = "nonce-of-a-fake-host".to_owned();
        say(&mut socket, &ServerMessage::Challenge(Challenge { nonce: nonce.clone() })).await.ok()?;
        loop {
            match hear(&mut socket).await? {
                ClientMessage::Enrol(enrol) => self.enrol(&mut socket, &nonce, enrol).await?,
                ClientMessage::Hello(hello) if self.knows(&nonce, &hello) => {
                    return self.welcome(socket, hello).await;
                }
                ClientMessage::Hello(_)
                | ClientMessage::Request(..)
                | ClientMessage::Ack(_)
                | ClientMessage::Signal(_)
                | ClientMessage::Presence(_)
                | ClientMessage::Ping => {
                    close(&mut socket, CloseCode::Unauthorized).await.ok()?;
                    return None;
                }
            }
        }
    }

    async fn enrol(&self, socket: &mut WebSocketStream<TcpStream>, nonce: &str, enrol: Enrol) -> Option<()> {
        let statement = Statement::Enrol { nonce, tenant: &self.tenant, application: &self.application };
        if enrol.device_key.verify(&statement, &enrol.proof).is_err() {
            return say(socket, &ServerMessage::Error(ErrorCode::Unauthorized.into())).await.ok();
        }
        let enrolled = self.mint(enrol.device_key)?;
        say(socket, &ServerMessage::Enrolled(enrolled)).await.ok()
    }

    fn mint(&self, key: DeviceKey) -> Option<Enrolled> {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        let number = devices.len() + 1;
        let device: DeviceId = format!("device-{number}").parse().ok()?;
        devices.insert(device.clone(), key);
        drop(devices);
        let push_token = format!("token-{number}").parse().ok()?;
        Some(Enrolled { device, push_token, push_token_expires_in_ms: DAY, carriers: None })
    }

    fn knows(&self, nonce: &str, hello: &Hello) -> bool {
        let Hello { device, push_token, proof, .. } = hello;
        let statement = Statement::Hello { nonce, tenant: &self.tenant, device, push_token };
        let devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        devices.get(device).is_some_and(|key| key.verify(&statement, proof).is_ok())
    }

    async fn welcome(&self, mut socket: WebSocketStream<TcpStream>, hello: Hello) -> Option<FakeConnection> {
        let known = hello.cursor.as_ref().is_some_and(|cursor| cursor.epoch == self.epoch);
        let resumed = if known { Resumed::Full } else { Resumed::None };
        let welcome = Welcome {
            resumed,
            epoch: self.epoch.clone(),
            ping_ms: 20_000,
            cdx: self.cdx,
            cdx_key: self.cdx_keys.as_ref().map(|keys| (keys.0)(&hello.device)),
            register_again: RegisterAgain::default(),
            push_token_expires_in_ms: DAY,
        };
        say(&mut socket, &ServerMessage::Welcome(welcome)).await.ok()?;
        Some(FakeConnection { hello, epoch: self.epoch.clone(), socket })
    }
}

/// How long its push tokens count, in milliseconds.
const DAY: u64 = 24 * 3_600_000;

fn upgrade(path: &str, request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let asked = request.headers().get(SEC_WEBSOCKET_PROTOCOL);
    if request.uri().path() != path || asked.is_none_or(|asked| asked != SUBPROTOCOL) {
        let mut refused = ErrorResponse::new(None);
        *refused.status_mut() = tokio_tungstenite::tungstenite::http::StatusCode::NOT_FOUND;
        return Err(refused);
    }
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    Ok(response)
}

async fn hear(socket: &mut WebSocketStream<TcpStream>) -> Option<ClientMessage> {
    loop {
        if let Message::Text(text) = socket.next().await?.ok()? {
            return ClientMessage::decode(&text).ok();
        }
    }
}

async fn say(socket: &mut WebSocketStream<TcpStream>, message: &ServerMessage) -> io::Result<()> {
    let text = serde_json::to_string(message)?;
    socket.send(Message::text(text)).await.map_err(io::Error::other)
}

async fn close(socket: &mut WebSocketStream<TcpStream>, code: CloseCode) -> io::Result<()> {
    let row = code.row();
    let frame = CloseFrame { code: WireCode::from(row.code), reason: row.reason.into() };
    socket.close(Some(frame)).await.map_err(io::Error::other)?;
    // The client answers the close; to drop the socket before that would lose the code.
    while let Some(Ok(_)) = socket.next().await {}
    Ok(())
}

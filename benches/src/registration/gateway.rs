//! The sandbox gateway of a new installation, played by the generator: it posts what devices text, and takes what the
//! host sends.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use anyhow::{Context as _, ensure};
use axum::{Json, Router, extract::State, http::StatusCode, routing};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use switchhook_core::transit::{SIGNATURE_HEADER, sign};
use switchhook_protocol::{endpoint::EndpointId, id::TenantId};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
};

use crate::{clock, installation::Installation};

/// Where a new installation's sandbox gateway takes texts.
const TEXTS: (&str, u16) = ("127.0.0.1", 7471);

/// The gateway. Cheap to clone; its port closes with the last of them.
#[derive(Clone)]
pub(super) struct Gateway {
    secret: Arc<str>,
    posted: Arc<AtomicU32>,
    expected: Expected,
    _port: Arc<JoinSet<()>>,
}

/// A connection to the host.
pub(super) struct Posting {
    connection: http1::SendRequest<Full<Bytes>>,
    path: String,
    host: String,
    secret: Arc<str>,
    posted: Arc<AtomicU32>,
    _driver: JoinSet<()>,
}

/// Who waits for a text, by number.
type Expected = Arc<Mutex<HashMap<String, oneshot::Sender<String>>>>;

#[derive(Deserialize)]
struct Shared {
    secret: String,
}

#[derive(Deserialize)]
struct Ordered {
    to: String,
    text: String,
}

impl Gateway {
    pub(super) async fn open(installation: &Installation) -> anyhow::Result<Self> {
        let Shared { secret } = serde_json::from_str(&installation.file("sandbox.json")?)?;
        let expected = Expected::default();
        let router = Router::new().route("/texts", routing::post(arrive)).with_state(Arc::clone(&expected));
        let listener = TcpListener::bind(TEXTS).await.context("another sandbox has the port")?;
        let mut port = JoinSet::new();
        port.spawn(async { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self { secret: secret.into(), posted: Arc::default(), expected, _port: Arc::new(port) })
    }

    /// The next text to this number.
    pub(super) fn expect(&self, number: &EndpointId) -> oneshot::Receiver<String> {
        let (arrived, arriving) = oneshot::channel();
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        expected.insert(number.reveal().to_owned(), arrived);
        arriving
    }

    pub(super) async fn connect(&self, host: SocketAddr, tenant: &TenantId) -> anyhow::Result<Posting> {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        let (connection, driver) = http1::handshake(TokioIo::new(stream)).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async { driver.await.unwrap_or_default() });
        Ok(Posting {
            connection,
            path: format!("/v1/{tenant}/transits/sandbox/messages"),
            host: host.to_string(),
            secret: Arc::clone(&self.secret),
            posted: Arc::clone(&self.posted),
            _driver: tasks,
        })
    }
}

impl Posting {
    /// Posts what a device texts; the host has taken it.
    pub(super) async fn post(&mut self, from: &EndpointId, text: &str) -> anyhow::Result<()> {
        let id = format!("bench-{}", self.posted.fetch_add(1, Ordering::Relaxed));
        let report = serde_json::json!({ "id": id, "from": from.reveal(), "to": "7000", "text": text });
        let body = serde_json::to_vec(&report)?;
        let request = Request::post(&self.path)
            .header(header::HOST, &self.host)
            .header(header::CONTENT_TYPE, "application/json")
            .header(SIGNATURE_HEADER, sign(self.secret.as_bytes(), &body, clock::timestamp()))
            .body(Full::from(body))?;
        self.connection.ready().await?;
        let answer = self.connection.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "the text was refused: {status} {}", String::from_utf8_lossy(&body));
        Ok(())
    }
}

async fn arrive(State(expected): State<Expected>, Json(text): Json<Ordered>) -> StatusCode {
    let waiting = expected.lock().unwrap_or_else(PoisonError::into_inner).remove(&text.to);
    let taken = waiting.is_some_and(|waiting| waiting.send(text.text).is_ok());
    if taken { StatusCode::ACCEPTED } else { StatusCode::GONE }
}

//! The sandbox: a carrier with phones and a gateway, and [`mailboxes`], for laptops and tests.
//!
//! It stands outside of the host like a real one: it has an HTTP port of its own, knows the
//! gateway's published secret and the host's address, and nothing else. A phone's text goes to the
//! host's transit webhook with the number that the network knows it by; what the host asks it to
//! send arrives at the phone. Numbers are made up, nothing leaves the machine. The first [`tenant`] has both.

pub(crate) mod mailboxes;
pub(crate) mod tenant;

use std::{
    collections::HashMap,
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path as UrlPath, State},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use reqwest::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use switchhook_core::transit::{SIGNATURE_HEADER, sign, verify};
use switchhook_delivery::Sandbox;
use switchhook_protocol::{endpoint::EndpointId, error::ErrorBody, id::TenantId};
use tokio::{net::TcpListener, sync::Notify};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::tenant::{SANDBOX, SANDBOX_NUMBER};
use crate::{
    TextAccepted, TextReport, clock,
    secrets::{self, SecretsError},
    tenants::DEFAULT,
};

/// Where the sandbox gateway of a new installation takes texts.
pub(crate) const SEND_URL: &str = "http://127.0.0.1:7471/texts";

/// Where it takes mails.
pub(crate) const MAIL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7472);

/// The addresses that the host asks on this machine whatever the operator allows.
pub(crate) const fn addresses() -> Sandbox {
    Sandbox { send_url: SEND_URL, mail: MAIL }
}

/// Name of the file with the sandbox gateway's secret.
pub(crate) const FILE: &str = "sandbox.json";

/// What the sandbox transit must know: a file that only its owner reads.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SandboxFile {
    /// The gateway's secret.
    pub secret: String,
}

impl SandboxFile {
    /// Reads it from the data folder.
    pub fn read(data: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(data.join(FILE))?;
        serde_json::from_str(&text).map_err(io::Error::other)
    }

    pub(crate) fn write(&self, data: &Path) -> Result<(), SecretsError> {
        secrets::write(&data.join(FILE), &serde_json::to_string(self).unwrap_or_default())
    }
}

/// The tenant of the first start.
#[expect(clippy::expect_used, reason = "the constant is an id")]
pub(crate) fn default_tenant() -> TenantId {
    DEFAULT.parse().expect("a word is an id")
}

/// A running sandbox transit.
#[derive(Debug, Clone)]
pub struct Carrier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    webhook: String,
    secret: String,
    http: reqwest::Client,
    phones: Mutex<HashMap<String, Vec<String>>>,
    arrived: Notify,
    sent: AtomicU64,
    refuses: Mutex<Option<StatusCode>>,
}

/// Why a phone's text began nothing.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// The host said no.
    #[error("the host refused the text: {}", .0.code)]
    Refused(ErrorBody),
    /// The host was not reached, or said what is no answer.
    #[error("the host did not answer: {0}")]
    Unreached(String),
}

#[derive(Deserialize)]
struct Ordered {
    to: String,
    text: String,
}

#[derive(Deserialize)]
struct FromPhone {
    text: String,
}

/// A problem of the host, as far as the sandbox reads it.
#[derive(Deserialize)]
struct Problem {
    code: switchhook_protocol::error::ErrorCode,
    detail: String,
}

impl Carrier {
    /// A carrier whose gateway reports to this host.
    pub fn new(
        host: SocketAddr,
        tenant: &TenantId,
        secret: impl Into<String>,
    ) -> Result<Self, reqwest::Error> {
        Ok(Self(Arc::new(Inner {
            webhook: format!("http://{host}/v1/{tenant}/transits/{SANDBOX}/messages"),
            secret: secret.into(),
            http: reqwest::Client::builder().build()?,
            phones: Mutex::default(),
            arrived: Notify::new(),
            sent: AtomicU64::new(0),
            refuses: Mutex::default(),
        })))
    }

    /// Serves the gateway's HTTP port until told to stop.
    pub fn serve(&self, listener: TcpListener, tasks: &TaskTracker, stop: CancellationToken) {
        serve(self.router(), listener, tasks, stop);
    }

    /// The gateway and the phones.
    pub(crate) fn router(&self) -> Router {
        Router::new()
            .route("/texts", post(ordered))
            .route("/phones/{number}/texts", get(inbox).post(from_phone))
            .with_state(self.clone())
    }

    /// A phone sends a text to the gateway's short code; the gateway reports it to the host.
    pub async fn text(&self, from: &EndpointId, text: &str) -> Result<TextAccepted, NotTaken> {
        self.text_to(SANDBOX_NUMBER, from, text).await
    }

    /// The same to the number that the phone was told; the gateway takes what comes for another, as its account has several.
    pub async fn text_to(&self, to: &str, from: &EndpointId, text: &str) -> Result<TextAccepted, NotTaken> {
        let number = self.0.sent.fetch_add(1, Ordering::Relaxed);
        let report = TextReport {
            id: format!("sandbox-{}-{number}", clock::now().as_millis()),
            from: from.clone(),
            to: to.to_owned(),
            text: text.to_owned(),
        };
        self.report(&report).await
    }

    /// Reports a text under the id that it has: a repeat has no second effect.
    pub async fn report(&self, report: &TextReport) -> Result<TextAccepted, NotTaken> {
        let unreached = |error: &dyn std::fmt::Display| NotTaken::Unreached(error.to_string());
        let body = serde_json::to_vec(report).map_err(|error| unreached(&error))?;
        let signature = sign(self.0.secret.as_bytes(), &body, clock::now());
        let request = self.0.http.post(&self.0.webhook).header(CONTENT_TYPE, "application/json");
        let answer = request.header(SIGNATURE_HEADER, signature).body(body).send().await;
        let answer = answer.map_err(|error| unreached(&error))?;
        if answer.status().is_success() {
            return answer.json().await.map_err(|error| unreached(&error));
        }
        let problem: Problem = answer.json().await.map_err(|error| unreached(&error))?;
        Err(NotTaken::Refused(ErrorBody { message: problem.detail, ..problem.code.into() }))
    }

    /// The next text that a phone has not read; waits for it.
    pub async fn next_text(&self, number: &EndpointId, read: usize) -> String {
        loop {
            let arrived = self.0.arrived.notified();
            if let Some(text) = self.phones().get(number.reveal()).and_then(|texts| texts.get(read)) {
                return text.clone();
            }
            arrived.await;
        }
    }

    /// Everything that a phone got.
    pub fn texts(&self, number: &EndpointId) -> Vec<String> {
        self.phones().get(number.reveal()).cloned().unwrap_or_default()
    }

    /// From now on the gateway answers the host's orders with this status, and sends nothing.
    pub fn refuse(&self, status: Option<u16>) {
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        *self.0.refuses.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    fn phones(&self) -> MutexGuard<'_, HashMap<String, Vec<String>>> {
        self.0.phones.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves the sandbox's HTTP port until told to stop.
pub(crate) fn serve(router: Router, listener: TcpListener, tasks: &TaskTracker, stop: CancellationToken) {
    tasks.spawn(async move {
        let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = served.await {
            tracing::warn!(%error, "the sandbox ended");
        }
    });
}

/// The host asks the gateway to send a text.
async fn ordered(State(carrier): State<Carrier>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = headers.get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if verify(carrier.0.secret.as_bytes(), &body, signature, clock::now()).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let refuses = *carrier.0.refuses.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(status) = refuses {
        return status;
    }
    let Ok(Ordered { to, text }) = serde_json::from_slice(&body) else { return StatusCode::BAD_REQUEST };
    carrier.phones().entry(to).or_default().push(text);
    carrier.0.arrived.notify_waiters();
    StatusCode::ACCEPTED
}

/// A person types a text into a phone.
async fn from_phone(
    State(carrier): State<Carrier>,
    UrlPath(number): UrlPath<String>,
    Json(FromPhone { text }): Json<FromPhone>,
) -> (StatusCode, String) {
    let Ok(number) = number.parse() else {
        return (StatusCode::BAD_REQUEST, "not a phone number\n".to_owned());
    };
    match carrier.text(&number, &text).await {
        Ok(_) => (StatusCode::ACCEPTED, String::new()),
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error}\n")),
    }
}

/// A person looks at a phone.
async fn inbox(
    State(carrier): State<Carrier>,
    UrlPath(number): UrlPath<String>,
) -> Result<Json<Vec<String>>, StatusCode> {
    let number = number.parse().or(Err(StatusCode::BAD_REQUEST))?;
    Ok(Json(carrier.texts(&number)))
}

//! Requests of plugins to their tenant's own services: `fetch`, `ask`, and webhooks that serve a slot.
//!
//! A request goes to a host that the tenant granted, and only to an address that the operator's
//! rules let the host's own network reach: names are resolved here, and what a name resolves to is
//! judged before anything connects, so that a name which points inside leads nowhere (PLUG-4). The
//! address judged is the address connected to. A redirect is followed if it keeps the method (307,
//! 308) and leads to a granted host; any other is an answer that counts as a failure. No proxy of
//! the environment is used: it would resolve names by its own rules.

pub(crate) mod resolver;

use std::time::Duration;

use reqwest::{
    Client, Method, Response, StatusCode, Url,
    header::{CONTENT_TYPE, LOCATION},
    redirect,
};
use switchhook_core::{
    policy::Grants,
    relay_peers::{PeerPolicy, RefusedPeer},
};
use tokio::time::timeout;

use self::resolver::{Judged, RefusedName, judge_literal};
use crate::limits;

/// Asks the services of tenants.
#[derive(Debug, Clone)]
pub struct Outbound {
    http: Client,
    peers: PeerPolicy,
}

/// One request.
#[derive(Debug, Clone)]
pub struct OutboundRequest {
    /// Where to.
    pub url: String,
    /// What it says: sent by `POST` as `application/json`; an empty one by `GET`.
    pub body: Vec<u8>,
    /// More headers, such as an idempotency key or a signature.
    pub headers: Vec<(&'static str, String)>,
    /// How long all of it may take, redirects included.
    pub deadline: Duration,
}

/// Why a request has no answer. The words reach the plugin: they say nothing about the host's network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// No address of the web.
    #[error("not an http or https address")]
    Url,
    /// The host, or the port, is not among the granted ones.
    #[error("{0} is not granted")]
    NotGranted(String),
    /// It leads into a network where requests of plugins may not go.
    #[error("its address is {0}")]
    Address(#[from] RefusedPeer),
    /// Nobody answered there.
    #[error("not reached")]
    NotReached,
    /// It took too long.
    #[error("timed out")]
    TimedOut,
    /// The answer is no success.
    #[error("status {0}")]
    Status(u16),
    /// More than [`limits::REDIRECTS`] redirects.
    #[error("too many redirects")]
    Redirects,
    /// The answer is larger than [`limits::BODY`].
    #[error("the answer is larger than 64 KiB")]
    TooLarge,
    /// The connection broke in the middle.
    #[error("the answer broke off")]
    Broken,
}

impl OutboundError {
    /// Whether the same request may have another outcome soon.
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::NotReached | Self::TimedOut | Self::Broken => true,
            Self::Status(status) => *status >= 500 || *status == 429,
            Self::Url | Self::NotGranted(_) | Self::Address(_) | Self::Redirects | Self::TooLarge => false,
        }
    }
}

impl Outbound {
    /// A client whose requests go only to addresses that these rules allow.
    pub fn new(peers: PeerPolicy) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .connect_timeout(limits::CONNECT)
            .redirect(redirect::Policy::none())
            .dns_resolver(Judged::new(peers.clone()))
            .no_proxy()
            .pool_max_idle_per_host(limits::IDLE_PER_HOST)
            .user_agent("switchhook")
            .build()?;
        Ok(Self { http, peers })
    }

    /// Asks, and gives the answer's body.
    pub async fn ask(&self, request: OutboundRequest, grants: &Grants) -> Result<Vec<u8>, OutboundError> {
        let deadline = request.deadline;
        timeout(deadline, self.follow(request, grants)).await.unwrap_or(Err(OutboundError::TimedOut))
    }

    async fn follow(&self, request: OutboundRequest, grants: &Grants) -> Result<Vec<u8>, OutboundError> {
        let mut url = Url::parse(&request.url).or(Err(OutboundError::Url))?;
        for _ in 0..=limits::REDIRECTS {
            self.judge(&url, grants)?;
            let answer = self.send(&request, url.clone()).await?;
            match answer.status() {
                StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => {
                    url = target(&answer, &url).ok_or(OutboundError::Url)?;
                }
                status if status.is_success() => return read(answer).await,
                status => return Err(OutboundError::Status(status.as_u16())),
            }
        }
        Err(OutboundError::Redirects)
    }

    /// Whether a request may go to this address, as far as it says itself where it leads: names are
    /// judged again when they are resolved.
    pub fn judge(&self, url: &Url, grants: &Grants) -> Result<(), OutboundError> {
        let (Some(host), Some(port), "http" | "https") =
            (url.host_str(), url.port_or_known_default(), url.scheme())
        else {
            return Err(OutboundError::Url);
        };
        if !grants.allow(host, port, url.port().is_none()) {
            return Err(OutboundError::NotGranted(host.to_owned()));
        }
        Ok(judge_literal(&self.peers, host)?)
    }

    async fn send(&self, request: &OutboundRequest, url: Url) -> Result<Response, OutboundError> {
        let method = if request.body.is_empty() { Method::GET } else { Method::POST };
        let mut sending = self.http.request(method, url);
        for (name, value) in &request.headers {
            sending = sending.header(*name, value);
        }
        if !request.body.is_empty() {
            sending = sending.header(CONTENT_TYPE, "application/json").body(request.body.clone());
        }
        sending.send().await.map_err(|error| not_sent(&error))
    }
}

fn target(answer: &Response, from: &Url) -> Option<Url> {
    from.join(answer.headers().get(LOCATION)?.to_str().ok()?).ok()
}

/// The answer's body, as far as it may be large.
pub(crate) async fn read(mut answer: Response) -> Result<Vec<u8>, OutboundError> {
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.or(Err(OutboundError::Broken))? {
        if body.len() + piece.len() > limits::BODY {
            return Err(OutboundError::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// Why a name was not connected to, if the rules refused all its addresses.
pub(crate) fn refused(error: &reqwest::Error) -> Option<RefusedPeer> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(RefusedName(reason)) = cause.downcast_ref() {
            return Some(*reason);
        }
        source = cause.source();
    }
    None
}

fn not_sent(error: &reqwest::Error) -> OutboundError {
    if let Some(reason) = refused(error) {
        OutboundError::Address(reason)
    } else if error.is_builder() {
        OutboundError::Url
    } else if error.is_timeout() {
        OutboundError::TimedOut
    } else if error.is_connect() {
        OutboundError::NotReached
    } else {
        OutboundError::Broken
    }
}

//! The way of a relay host apart to the nodes: HTTPS, with the host's own token.

use std::fmt;

use reqwest::{Client, RequestBuilder, Response, redirect::Policy};
use serde::{Deserialize, de::DeserializeOwned};
use switchhook_relay::Participant;
use zeroize::Zeroizing;

use super::told::{Beat, Gone, Orders, Relayed};
use crate::{limits, settings::ServerUrl};

/// The nodes, or the balancer before them.
pub(crate) struct Link {
    http: Client,
    server: ServerUrl,
    token: Zeroizing<String>,
}

/// Why a relay host was not told what it asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The token does not count, or not for this: nothing changes that but the operator.
    #[error("the server refuses this relay host ({0}); make it a token with `switchhook relay-hosts add`")]
    Unknown(String),
    /// What this host says of itself is not taken.
    #[error("the server does not take what this relay host says of itself: {0}")]
    Wrong(String),
    /// Nobody answers, or it has trouble of its own.
    #[error("no answer from the server")]
    Away(#[source] reqwest::Error),
    /// Something answers that is no Switchhook of this version.
    #[error("the answer is not understood; is `server` the address of a Switchhook server?")]
    Strange,
}

/// What failed requests are answered with.
#[derive(Deserialize)]
struct Problem {
    code: String,
    #[serde(default)]
    detail: String,
}

impl Link {
    /// Prepares to ask. A server that sends elsewhere is not followed: it would get the token.
    pub(crate) fn new(server: ServerUrl, token: Zeroizing<String>) -> Result<Self, LinkError> {
        let http = Client::builder().timeout(limits::RELAY_LINK).redirect(Policy::none());
        Ok(Self { http: http.build().map_err(LinkError::Away)?, server, token })
    }

    /// What the host needs before it can be reached.
    pub(crate) async fn enter(&self) -> Result<Orders, LinkError> {
        self.ask(self.http.get(self.at("relay-host"))).await
    }

    /// Says that the host lives.
    pub(crate) async fn beat(&self, beat: &Beat) -> Result<Orders, LinkError> {
        self.ask(self.http.put(self.at("relay-host")).json(beat)).await
    }

    /// Those of these participants that take part no more.
    pub(crate) async fn gone(&self, some: &[Participant]) -> Result<Vec<Participant>, LinkError> {
        let asked = Relayed { participants: some.iter().cloned().map(Into::into).collect() };
        let answer: Gone = self.ask(self.http.post(self.at("relay-host/taking-part")).json(&asked)).await?;
        Ok(answer.gone.into_iter().map(Into::into).collect())
    }

    fn at(&self, path: &str) -> String {
        self.server.at(&format!("admin/v1/{path}"))
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, LinkError> {
        let answer = request.bearer_auth(self.token.as_str()).send().await.map_err(LinkError::Away)?;
        match answer.error_for_status_ref() {
            Ok(_) if answer.status().is_success() => read(answer).await,
            Ok(_) => Err(LinkError::Strange),
            Err(error) if answer.status().is_client_error() => Err(refused(answer, error).await),
            Err(error) => Err(LinkError::Away(error)),
        }
    }
}

/// Reads an answer that is not endless, whoever gives it.
async fn read<T: DeserializeOwned>(mut answer: Response) -> Result<T, LinkError> {
    // There are keys in it.
    let mut body = Zeroizing::new(Vec::new());
    while let Some(piece) = answer.chunk().await.map_err(LinkError::Away)? {
        if body.len() + piece.len() > limits::RELAY_LINK_ANSWER {
            return Err(LinkError::Strange);
        }
        body.extend_from_slice(&piece);
    }
    serde_json::from_slice(&body).or(Err(LinkError::Strange))
}

async fn refused(answer: Response, error: reqwest::Error) -> LinkError {
    match read::<Problem>(answer).await {
        Ok(Problem { code, .. }) if matches!(code.as_str(), "unauthorized" | "forbidden") => {
            LinkError::Unknown(code)
        }
        Ok(Problem { code, .. }) if code == "rate-limited" => LinkError::Away(error),
        Ok(Problem { detail, .. }) => LinkError::Wrong(detail),
        Err(_) => LinkError::Strange,
    }
}

impl LinkError {
    /// Whether to ask again changes nothing.
    pub(crate) const fn is_final(&self) -> bool {
        match self {
            Self::Unknown(_) | Self::Wrong(_) => true,
            Self::Away(_) | Self::Strange => false,
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("server", &self.server).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use axum::Router;
    use tokio::{net::TcpListener, task::JoinSet};

    use super::*;

    /// What is made of this answer.
    async fn asked(answer: String) -> Result<Orders, LinkError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let always = Router::new().fallback(move || std::future::ready(answer.clone()));
        let _serving = JoinSet::from_iter([axum::serve(listener, always).into_future()]);
        Link::new(server, Zeroizing::new("token".to_owned())).unwrap().enter().await
    }

    #[tokio::test]
    async fn what_answers_with_more_than_orders_can_be_is_no_node() {
        let with = |more: usize| {
            let keys = "A".repeat(more);
            format!(r#"{{"host":"eu-1","realm":"r","keys":"{keys}","peers":[],"as_of":1}}"#)
        };
        assert!(asked(with(1_000)).await.is_ok());
        let endless = asked(with(limits::RELAY_LINK_ANSWER)).await;
        assert!(matches!(endless, Err(LinkError::Strange)), "{endless:?}");
    }
}

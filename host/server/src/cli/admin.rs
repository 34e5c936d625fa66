//! The admin API, as this program uses it.
//!
//! The address comes from `--server`, the token from a file or the environment, never from the command
//! line, where other processes of the machine would read it. Without either, the token file in the
//! data folder of a server on this machine serves.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use reqwest::{
    Client, Method, Response,
    header::{CONTENT_TYPE, ETAG, HeaderValue, IF_MATCH},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::ADMIN_TOKEN;

/// Which server is administered, by whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct Server {
    /// Address of the server.
    #[arg(long = "server", env = "SWITCHHOOK_SERVER", default_value = "http://127.0.0.1:7470")]
    address: String,
    /// File with the token; otherwise `SWITCHHOOK_TOKEN`, otherwise the operator's in the data folder.
    #[arg(long)]
    token_file: Option<PathBuf>,
    /// The server's data folder, for the operator's token.
    #[arg(long, env = "SWITCHHOOK_DATA", default_value = "switchhook-data")]
    data: PathBuf,
}

/// The admin API of a server.
#[derive(Debug)]
pub(crate) struct Admin {
    http: Client,
    base: String,
    token: String,
}

/// A refusal of the server's: `application/problem+json`.
#[derive(Debug, Deserialize, thiserror::Error)]
#[error("{}: {detail}", code.as_deref().unwrap_or("refused"))]
pub(crate) struct Problem {
    /// A published code.
    pub(crate) code: Option<String>,
    #[serde(default)]
    detail: String,
    /// Of a refused upload: what does not fit.
    #[serde(default)]
    pub(crate) report: Option<Value>,
}

/// Variable that holds the token.
const TOKEN: &str = "SWITCHHOOK_TOKEN";

/// An answer that takes longer never comes: an upload may wait for a place to be compiled in, and then be
/// compiled for as long as the server allows.
const PATIENCE: Duration = Duration::from_mins(6);

/// Until a server that is not there counts as such.
const CONNECT: Duration = Duration::from_secs(10);

impl Server {
    /// Prepares to ask it.
    pub(crate) fn admin(&self) -> Result<Admin> {
        let base = self.address.trim_end_matches('/');
        if !base.starts_with("http://") && !base.starts_with("https://") {
            bail!("{base} is no address of a server: it begins with http:// or https://");
        }
        let http = Client::builder().timeout(PATIENCE).connect_timeout(CONNECT).build()?;
        Ok(Admin { http, base: format!("{base}/admin/v1"), token: self.token()? })
    }

    fn token(&self) -> Result<String> {
        let from_environment = std::env::var(TOKEN).ok().filter(|token| !token.trim().is_empty());
        let token = match (&self.token_file, from_environment) {
            (Some(path), _) => {
                fs::read_to_string(path).with_context(|| format!("cannot read the token in {}", path.display()))?
            }
            (None, Some(token)) => token,
            (None, None) => fs::read_to_string(self.data.join(ADMIN_TOKEN)).with_context(|| {
                format!("no token: set {TOKEN}, or name a file with --token-file, or a data folder with --data (looked in {})", self.data.display())
            })?,
        };
        Ok(token.trim().to_owned())
    }
}

impl Admin {
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Result<T> {
        let request = self.http.get(format!("{}/{path}", self.base)).query(query);
        self.send(request).await?.json().await.context("the server's answer is not understood")
    }

    /// What is there, and the tag of the state that it is in.
    pub(crate) async fn get_tagged<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<(T, Option<HeaderValue>)> {
        let answer = self.send(self.http.get(format!("{}/{path}", self.base))).await?;
        let tag = answer.headers().get(ETAG).cloned();
        Ok((answer.json().await.context("the server's answer is not understood")?, tag))
    }

    /// Replaces what is there, if it is still in the state of this tag.
    pub(crate) async fn replace(&self, path: &str, tag: Option<HeaderValue>, state: &Value) -> Result<()> {
        let request = self.http.put(format!("{}/{path}", self.base)).json(state);
        let request = if let Some(tag) = tag { request.header(IF_MATCH, tag) } else { request };
        self.send(request).await.map(drop)
    }

    /// Sends a JSON body; the answer, null where there is none.
    pub(crate) async fn send_json(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let request = self.http.request(method, format!("{}/{path}", self.base));
        let request = if let Some(body) = body { request.json(body) } else { request };
        let text = self.send(request).await?.text().await?;
        if text.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&text)?) }
    }

    /// Deletes what a query names; the answer, null where there is none.
    pub(crate) async fn delete(&self, path: &str, query: &[(&str, String)]) -> Result<Value> {
        let text =
            self.send(self.http.delete(format!("{}/{path}", self.base)).query(query)).await?.text().await?;
        if text.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_str(&text)?) }
    }

    /// Uploads a component.
    pub(crate) async fn upload(&self, path: &str, component: Vec<u8>) -> Result<Value> {
        let request = self.http.post(format!("{}/{path}", self.base));
        let request = request.header(CONTENT_TYPE, "application/wasm").body(component);
        Ok(self.send(request).await?.json().await?)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response> {
        let answer = request.bearer_auth(&self.token).send().await.with_context(|| {
            format!("cannot reach {}; is the server running, and is --server its address?", self.base)
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = answer.text().await.unwrap_or_default();
        let Ok(problem) = serde_json::from_str::<Problem>(&text) else {
            bail!("the server says {status}; is --server the address of a Switchhook server?");
        };
        let next = problem.remedy();
        Err(if next.is_empty() { problem.into() } else { anyhow::Error::from(problem).context(next) })
    }
}

impl Problem {
    /// What to do next, where the code says more than the server's own sentence.
    fn remedy(&self) -> &'static str {
        match self.code.as_deref() {
            Some("unauthorized") => {
                "the token does not count (any more): make one with `switchhook token create`"
            }
            Some("forbidden") => "the token is for another tenant, or this needs the operator's",
            Some("unknown-tenant") => "no such tenant here: see `switchhook tenant list`",
            Some("changed") => "somebody else has changed it just now: look at it, and try again",
            Some("not-found") => "no such thing here: see `switchhook plugin list`",
            _ => "",
        }
    }
}

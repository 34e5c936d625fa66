//! A device that asks by signed HTTP requests (RFC 9421), signed by a library of others.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use switchhook_client::identity::Identity;
use switchhook_protocol::{call::Call, id::DeviceId};

use crate::python::Python;

/// A device without a socket.
#[derive(Debug, Clone)]
pub struct Signer {
    python: Python,
    base: String,
    device: DeviceId,
    key: Value,
}

/// A request, and what is to go wrong with it.
pub type Asked = Value;

/// Status and body of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// HTTP status.
    pub status: u16,
    /// The operation's answer, or a problem.
    pub body: Value,
    /// Headers, by their names as they were written.
    pub headers: Value,
}

impl Signer {
    /// The device of this identity, at a tenant of a host.
    pub fn new(python: &Python, host: SocketAddr, tenant: &str, identity: &Identity) -> Result<Self> {
        let base = format!("http://{host}/v1/{tenant}/requests");
        let key = serde_json::to_value(&identity.key)?;
        Ok(Self { python: python.clone(), base, device: identity.device.clone(), key })
    }

    /// A request as it should be.
    pub fn request(&self, op: &str, body: &Value) -> Result<Asked> {
        let body = body.to_string();
        let url = format!("{}/{op}", self.base);
        Ok(json!({ "url": url, "body": body, "device": self.device, "key": self.key }))
    }

    /// Asks; the operation's answer.
    pub async fn ask<C: Call + Sync>(&self, call: &C) -> Result<C::Answer> {
        let asked = self.request(C::OP, &serde_json::to_value(call)?)?;
        let answered = self.send(&[asked]).await?.pop().context("no answer")?;
        if answered.status != 200 {
            bail!("{}: {answered:?}", C::OP);
        }
        Ok(serde_json::from_value(answered.body)?)
    }

    /// Sends requests, one after the other.
    pub async fn send(&self, asked: &[Asked]) -> Result<Vec<Answered>> {
        let answers = self.python.run("signed_request.py", &json!(asked)).await?;
        let answers = answers.as_array().context("no list")?;
        answers.iter().map(Answered::read).collect()
    }
}

impl Answered {
    fn read(answer: &Value) -> Result<Self> {
        let part = |name: &str| answer.get(name).cloned().context("an answer lacks a part");
        let status = part("status")?.as_u64().and_then(|status| u16::try_from(status).ok());
        Ok(Self { status: status.context("no status")?, body: part("body")?, headers: part("headers")? })
    }

    /// The published code of a problem.
    pub fn code(&self) -> &str {
        self.body.get("code").and_then(Value::as_str).unwrap_or_default()
    }
}

/// A request with these members beside it or instead of its own.
#[must_use]
pub fn with(mut asked: Asked, changes: &Value) -> Asked {
    if let (Some(asked), Some(changes)) = (asked.as_object_mut(), changes.as_object()) {
        asked.extend(changes.clone());
    }
    asked
}

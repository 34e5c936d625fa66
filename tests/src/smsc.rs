//! An SMSC of others, by the npm package `smpp`.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{admin::Admin, certificates::Certified, host::Host, node::Node};

/// The gateway's name.
pub const GATEWAY: &str = "smsc";

/// The gateway's short code.
pub const NUMBER: &str = "70480";

/// Who binds, and by which password.
pub const ACCOUNT: (&str, &str) = ("switchhook", "secret08");

/// A running SMSC; it ends when dropped.
#[derive(Debug)]
pub struct Smsc {
    program: Node,
    /// Where hosts bind.
    pub addr: SocketAddr,
}

impl Smsc {
    /// Starts an SMSC; none, and said so for this test, where it cannot run.
    pub async fn start(test: &str) -> Result<Option<Self>> {
        let Some(mut program) = Node::start(test, "smsc.cjs")? else { return Ok(None) };
        let listening = program.next().await?;
        let port = listening.get("listening").and_then(Value::as_u64).context("it does not listen")?;
        let addr = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port)?));
        Ok(Some(Self { program, addr }))
    }

    /// Makes it a gateway of a host's first tenant, and waits until the host has bound to it.
    pub async fn connect(&mut self, host: &Host) -> Result<()> {
        self.connect_to(&host.admin).await
    }

    /// The same, of an administrator's tenant.
    pub async fn connect_to(&mut self, admin: &Admin) -> Result<()> {
        self.offer(admin, self.addr, false).await?;
        self.next("bound").await.map(drop)
    }

    /// Listens by TLS too, as this server.
    pub async fn listen_tls(&mut self, certified: &Certified) -> Result<SocketAddr> {
        let Certified { certificate, key } = certified;
        self.tell(&json!({ "tls": { "certificate": certificate, "key": key } })).await?;
        let port = self.next("listening-tls").await?.as_u64().context("it does not listen")?;
        Ok(SocketAddr::from(([127, 0, 0, 1], u16::try_from(port)?)))
    }

    /// Makes one of its addresses a gateway of an administrator's tenant.
    pub async fn offer(&self, admin: &Admin, addr: SocketAddr, tls: bool) -> Result<()> {
        let (system_id, password) = ACCOUNT;
        let provider =
            json!({ "kind": "smpp", "address": addr.to_string(), "system_id": system_id, "tls": tls });
        let gateway = json!({ "number": NUMBER, "provider": provider, "secret": password });
        let path = format!("gateways/{GATEWAY}");
        let (status, shown) = admin.ask_tenant(Method::PUT, &path, Some(&gateway)).await?;
        ensure!(status.is_success() && !shown.to_string().contains(password), "{status} {shown}");
        Ok(())
    }

    /// The next event of this kind.
    pub async fn next(&mut self, kind: &str) -> Result<Value> {
        self.program.event(kind).await
    }

    /// Events of this kind that have come before one that a test has asked for, and that no test has asked for itself.
    pub fn unread(&self, kind: &str) -> usize {
        self.program.unread(kind)
    }

    /// Does something, as `tests/counterparts/smsc.cjs` says; it is done when this returns.
    pub async fn tell(&mut self, what: &Value) -> Result<()> {
        self.program.does(what).await
    }

    /// Hands in a text of a phone; the status that it was answered with.
    pub async fn text(&mut self, from: &str, text: &str) -> Result<u64> {
        let text = json!({ "source_addr_ton": 1, "source_addr": from.trim_start_matches('+'),
            "destination_addr": NUMBER, "short_message": text });
        self.deliver(&text).await
    }

    /// Hands in what became of a text; the status that it was answered with.
    pub async fn receipt(&mut self, id: &str, state: &str) -> Result<u64> {
        let text = format!(
            "id:{id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:{state} err:000 text:"
        );
        self.deliver(&json!({ "esm_class": 4, "short_message": text })).await
    }

    /// Hands in a `deliver_sm`; the status that it was answered with.
    pub async fn deliver(&mut self, message: &Value) -> Result<u64> {
        self.tell(&json!({ "deliver": message })).await?;
        self.next("answered").await?.as_u64().context("no status")
    }
}

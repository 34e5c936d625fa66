//! A mail server of others, by the npm package `smtp-server`.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{admin::Admin, certificates::Certified, node::Node};

/// Whom mails come from.
pub const SENDER: &str = "no-reply@acme.example";

/// Where the world reaches the host: links in mails begin so.
pub const WEB_URL: &str = "https://calls.example";

/// A running mail server; it ends when dropped.
#[derive(Debug)]
pub struct Smtp {
    program: Node,
    port: u64,
    security: &'static str,
    account: Option<(&'static str, &'static str)>,
}

/// A mail that it took, or was about to take.
#[derive(Debug, Clone, Deserialize)]
pub struct Received {
    /// The sender of the envelope.
    pub from: String,
    /// The recipients of the envelope.
    pub to: Vec<String>,
    /// Who signed in.
    pub user: Option<String>,
    /// Whether it came by TLS.
    pub secure: bool,
    /// Headers and text, as they came.
    pub raw: String,
}

impl Smtp {
    /// Starts a server without TLS where nobody signs in; none, and said so for this test, where it cannot run.
    pub async fn start(test: &str) -> Result<Option<Self>> {
        Self::with(test, ("plain", None), None).await
    }

    /// Starts a server with `tls` or `starttls` by this certificate, where this user signs in.
    pub async fn with(
        test: &str,
        (security, certified): (&'static str, Option<&Certified>),
        account: Option<(&'static str, &'static str)>,
    ) -> Result<Option<Self>> {
        let Some(program) = Node::start(test, "smtp.cjs")? else { return Ok(None) };
        let mut smtp = Self { program, port: 0, security, account };
        let mut listen = json!({ "security": security });
        if let (Some(certified), Some(listen)) = (certified, listen.as_object_mut()) {
            listen.insert("key".to_owned(), certified.key.as_str().into());
            listen.insert("certificate".to_owned(), certified.certificate.as_str().into());
        }
        if let (Some((user, password)), Some(listen)) = (account, listen.as_object_mut()) {
            listen.insert("user".to_owned(), user.into());
            listen.insert("password".to_owned(), password.into());
        }
        smtp.program.tell(&json!({ "listen": listen })).await?;
        smtp.port = smtp.next("listening").await?.as_u64().context("it does not listen")?;
        Ok(Some(smtp))
    }

    /// What a tenant sets to send its mails by it.
    pub fn settings(&self) -> Value {
        let (user, password) = self.account.unzip();
        json!({
            "host": "127.0.0.1", "port": self.port, "security": self.security, "user": user, "password": password,
            "sender": SENDER, "sender_name": "Acme",
        })
    }

    /// Makes it the mail server of an administrator's tenant.
    pub async fn connect(&self, admin: &Admin) -> Result<()> {
        self.connect_with(admin, |_| {}).await
    }

    /// The same with other settings.
    pub async fn connect_with(&self, admin: &Admin, change: impl FnOnce(&mut Value)) -> Result<()> {
        let mut settings = self.settings();
        change(&mut settings);
        let (status, shown) = admin.ask_tenant(Method::PUT, "mail-server", Some(&settings)).await?;
        ensure!(status.is_success() && shown.get("password").is_none(), "{status} {shown}");
        Ok(())
    }

    /// The next mail that came.
    pub async fn next_mail(&mut self) -> Result<Received> {
        Ok(serde_json::from_value(self.next("mail").await?)?)
    }

    /// Mails that have come and no test has asked for.
    pub fn unread(&self) -> usize {
        self.program.unread("mail")
    }

    /// Does something, as `tests/counterparts/smtp.cjs` says; it is done when this returns.
    pub async fn tell(&mut self, what: &Value) -> Result<()> {
        self.program.does(what).await
    }

    /// The next event of this kind.
    pub async fn next(&mut self, kind: &str) -> Result<Value> {
        self.program.event(kind).await
    }
}

impl Received {
    /// What stands in a header of one line.
    pub fn header(&self, name: &str) -> Option<&str> {
        let head = self.raw.split("\r\n\r\n").next()?;
        let line = head
            .split("\r\n")
            .find(|line| line.split_once(':').is_some_and(|(other, _)| other.eq_ignore_ascii_case(name)))?;
        line.split_once(':').map(|(_, value)| value.trim())
    }

    /// The token in its header.
    pub fn token(&self) -> Result<String> {
        self.header("Switchhook-Token").map(str::to_owned).context("no token")
    }

    /// What stands in it, as its reader sees it.
    pub fn text(&self) -> Result<String> {
        let (_, body) = self.raw.split_once("\r\n\r\n").context("no text")?;
        Ok(match self.header("Content-Transfer-Encoding") {
            Some("quoted-printable") => body.replace("=\r\n", "").replace("=3D", "="),
            _ => body.to_owned(),
        })
    }
}

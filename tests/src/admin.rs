//! The admin API, as an administrator uses it.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail};
use reqwest::{
    Client, Method, RequestBuilder, StatusCode,
    header::{ETAG, IF_MATCH},
};
use serde_json::{Value, json};
use switchhook_protocol::id::{DeviceId, SessionId};
use switchhook_server::{DEFAULT_TENANT, DecisionRecord, SANDBOX, SANDBOX_NUMBER};

use crate::waiting::until;

/// Administers a tenant of a host.
#[derive(Debug, Clone)]
pub struct Admin {
    http: Client,
    host: SocketAddr,
    token: String,
    tenant: String,
}

/// Status and body of an answer.
pub type Answer = (StatusCode, Value);

impl Admin {
    /// The administrator of the first tenant.
    pub fn new(host: SocketAddr, token: impl Into<String>) -> Self {
        Self { http: Client::new(), host, token: token.into(), tenant: DEFAULT_TENANT.to_owned() }
    }

    /// The same administrator at another tenant.
    #[must_use]
    pub fn at(&self, tenant: &str) -> Self {
        Self { tenant: tenant.to_owned(), ..self.clone() }
    }

    /// Another administrator of the same tenant.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Asks for something below `/admin/v1`; the body is null where the answer has none.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let request = self.request(method, path);
        answered(if let Some(body) = body { request.json(body) } else { request }).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}/admin/v1/{path}", self.host);
        self.http.request(method, url).bearer_auth(&self.token)
    }

    /// Asks for something of the tenant.
    pub async fn ask_tenant(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        self.ask(method, &format!("tenants/{}/{path}", self.tenant), body).await
    }

    /// What the tenant has there.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let (status, body) = self.ask_tenant(Method::GET, path, None).await?;
        if !status.is_success() {
            bail!("{path}: {status} {body}");
        }
        Ok(body)
    }

    /// The tag of what the tenant has there.
    pub async fn tag(&self, path: &str) -> Result<String> {
        let asked = self.request(Method::GET, &format!("tenants/{}/{path}", self.tenant));
        let answer = asked.send().await?;
        Ok(answer.headers().get(ETAG).context("no tag")?.to_str()?.to_owned())
    }

    /// Replaces what the tenant has there, if it still has this tag.
    pub async fn replace(&self, path: &str, tag: &str, body: &Value) -> Result<Answer> {
        let request = self.request(Method::PUT, &format!("tenants/{}/{path}", self.tenant));
        answered(request.header(IF_MATCH, tag).json(body)).await
    }

    /// Uploads a component as a new version of a plugin.
    pub async fn upload(&self, plugin: &str, component: Vec<u8>) -> Result<Answer> {
        let url = format!("http://{}/admin/v1/tenants/{}/plugins/{plugin}/versions", self.host, self.tenant);
        let request = self.http.post(url).bearer_auth(&self.token);
        let answer = request.header("content-type", "application/wasm").body(component).send().await?;
        Ok((answer.status(), answer.json().await?))
    }

    /// Changes a plugin (`slot/name`): `activate`, `rollback`, `deactivate`.
    pub async fn change(&self, plugin: &str, change: &str, how: &Value) -> Result<Answer> {
        self.ask_tenant(Method::POST, &format!("plugins/{plugin}/{change}"), Some(how)).await
    }

    /// The same, which succeeds.
    pub async fn changed(&self, plugin: &str, change: &str, how: &Value) -> Result<Value> {
        let (status, body) = self.change(plugin, change, how).await?;
        if !status.is_success() {
            bail!("{plugin} {change}: {status} {body}");
        }
        Ok(body)
    }

    /// Gives the active version of a plugin another configuration.
    pub async fn configure(&self, plugin: &str, configuration: &Value) -> Result<Answer> {
        self.ask_tenant(Method::PUT, &format!("plugins/{plugin}/configuration"), Some(configuration)).await
    }

    /// Makes a token for a relay host of this id.
    pub async fn add_relay_host(&self, host: &str) -> Result<String> {
        let body = json!({ "label": "test", "relay_host": host });
        let (status, body) = self.ask(Method::POST, "tokens", Some(&body)).await?;
        body.get("token")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .with_context(|| format!("{status} {body}"))
    }

    /// What is known of a relay host; none if there is none of this id.
    pub async fn relay_host(&self, host: &str) -> Result<Option<Value>> {
        let (_, body) = self.ask(Method::GET, "relay-hosts", None).await?;
        let hosts = body.get("relay_hosts").and_then(Value::as_array).context("no list")?;
        Ok(hosts.iter().find(|one| one.get("host").and_then(Value::as_str) == Some(host)).cloned())
    }

    /// Waits until a relay host has these members.
    pub async fn relay_host_is(&self, host: &str, wanted: &Value) -> Result<()> {
        let wanted = wanted.as_object().context("no members")?;
        until("the relay host's state", async || {
            let Some(found) = self.relay_host(host).await? else { return Ok(None) };
            Ok(wanted.iter().all(|(name, value)| found.get(name) == Some(value)).then_some(()))
        })
        .await
    }

    /// Makes the tenant.
    pub async fn create_tenant(&self) -> Result<()> {
        let (status, body) =
            self.ask(Method::POST, "tenants", Some(&json!({ "tenant": self.tenant }))).await?;
        if !status.is_success() {
            bail!("the tenant is not made: {status} {body}");
        }
        Ok(())
    }

    /// Makes a token for the tenant alone.
    pub async fn create_token(&self) -> Result<String> {
        let (_, body) = self.ask_tenant(Method::POST, "tokens", Some(&json!({ "label": "test" }))).await?;
        body.get("token").and_then(Value::as_str).map(str::to_owned).context("no token")
    }

    /// Gives the tenant's sandbox gateway this address and secret.
    pub async fn put_gateway(&self, send_url: &str, secret: &str) -> Result<()> {
        let provider = json!({ "kind": "webhook", "send_url": send_url });
        let gateway = json!({ "number": SANDBOX_NUMBER, "provider": provider, "secret": secret });
        let path = format!("gateways/{SANDBOX}");
        let (status, body) = self.ask_tenant(Method::PUT, &path, Some(&gateway)).await?;
        if !status.is_success() {
            bail!("the gateway is not configured: {status} {body}");
        }
        Ok(())
    }

    /// Ids of the texts in doubt.
    pub async fn in_doubt(&self) -> Result<Vec<String>> {
        let texts = self.get("texts/in-doubt").await?;
        let texts = texts.as_array().context("no list")?;
        texts
            .iter()
            .map(|text| Ok(text.get("text").and_then(Value::as_str).context("no id")?.to_owned()))
            .collect()
    }

    /// Sends a text in doubt again.
    pub async fn resend(&self, text: &str) -> Result<StatusCode> {
        Ok(self.ask_tenant(Method::POST, &format!("texts/{text}/resend"), None).await?.0)
    }

    /// What plugins decided about a session or an attempt.
    pub async fn decisions(&self, subject: &str) -> Result<Vec<DecisionRecord>> {
        Ok(serde_json::from_value(self.get(&format!("decisions?subject={subject}")).await?)?)
    }

    /// The NAT policy's last word about a session.
    pub async fn verdict(&self, session: &SessionId) -> Result<String> {
        let decisions = self.decisions(session.as_str()).await?;
        let last = decisions.into_iter().rfind(|decision| decision.slot == "nat-policy");
        Ok(last.context("the NAT policy was not asked")?.outcome)
    }

    /// What became of a session.
    pub async fn session(&self, session: &SessionId) -> Result<Value> {
        self.get(&format!("sessions/{session}")).await
    }

    /// A session's leg of this device.
    pub async fn leg(&self, session: &SessionId, device: &DeviceId) -> Result<Value> {
        let shown = self.session(session).await?;
        let legs = shown.get("legs").and_then(Value::as_array).context("no legs")?;
        let own = legs.iter().find(|leg| leg.get("device").and_then(Value::as_str) == Some(device.as_str()));
        own.cloned().context("the device has no leg")
    }

    /// Waits until the leg of this device is so far.
    pub async fn leg_is(&self, session: &SessionId, device: &DeviceId, state: &str) -> Result<Value> {
        until(&format!("leg {state}"), async || {
            let leg = self.leg(session, device).await?;
            Ok((leg.get("state").and_then(Value::as_str) == Some(state)).then_some(leg))
        })
        .await
    }

    /// How far the invitation of the only invited user is.
    pub async fn invitation_state(&self, session: &SessionId) -> Result<String> {
        let shown = self.session(session).await?;
        let state = shown.pointer("/invitations/0/state").and_then(Value::as_str);
        Ok(state.context("no invitation")?.to_owned())
    }

    /// What a server says at one of its public addresses.
    pub async fn public(&self, path: &str) -> Result<(StatusCode, String)> {
        let answer = self.http.get(format!("http://{}/{path}", self.host)).send().await?;
        Ok((answer.status(), answer.text().await?))
    }

    /// The value of a metric, by its name and labels as they are written; none where it is not counted.
    pub async fn metric(&self, name: &str) -> Result<Option<f64>> {
        let (_, text) = self.public("metrics").await?;
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        Ok(text.lines().find_map(value))
    }
}

async fn answered(request: RequestBuilder) -> Result<Answer> {
    let answer = request.send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? };
    Ok((status, body))
}

//! A provider like Twilio: its webhooks are signed by Twilio's own library, its Messages resource is a
//! stand-in that writes down what it was asked for.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::post,
};
use reqwest::{Client, Method, Url, header::CONTENT_TYPE};
use serde_json::{Value, json};
use switchhook_protocol::endpoint::EndpointId;
use switchhook_server::DEFAULT_TENANT;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::{host::Host, node::Node, waiting::in_time};

/// Where the world reaches the host.
pub const PUBLIC_URL: &str = "https://calls.example";

/// The gateway's name.
pub const GATEWAY: &str = "twilio";

/// The gateway's number.
pub const NUMBER: &str = "+15550199";

/// What the account and the host share.
pub const AUTH_TOKEN: &str = "fedcba9876543210fedcba9876543210";

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";

/// A provider; it ends when dropped.
#[derive(Debug)]
pub struct Twilio {
    signer: Node,
    http: Client,
    api_url: String,
    texts: mpsc::Receiver<Form>,
    answers: Answers,
    _serving: AbortOnDropHandle<()>,
}

/// Parameters of a request.
pub type Form = BTreeMap<String, String>;

/// Status of the answers to the host, with the body of a failure.
type Answers = Arc<Mutex<StatusCode>>;

#[derive(Debug, Clone)]
struct Api {
    answers: Answers,
    texts: mpsc::Sender<Form>,
}

impl Twilio {
    /// Starts a provider; none, and said so for this test, where Twilio's library cannot be had.
    pub async fn start(test: &str) -> Result<Option<Self>> {
        let Some(signer) = Node::start(test, "twilio.cjs")? else { return Ok(None) };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let api_url = format!("http://{}", listener.local_addr()?);
        let (sender, texts) = mpsc::channel(16);
        let answers = Answers::new(Mutex::new(StatusCode::CREATED));
        let api = Api { answers: Arc::clone(&answers), texts: sender };
        let router = Router::new()
            .route("/2010-04-01/Accounts/{account}/Messages.json", post(message))
            .with_state(api);
        let serving =
            TaskTracker::new().spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        let serving = AbortOnDropHandle::new(serving);
        Ok(Some(Self { signer, http: Client::new(), api_url, texts, answers, _serving: serving }))
    }

    /// A host behind a proxy, whose only gateway this is.
    pub async fn host(&self) -> Result<Host> {
        let host =
            Host::with(|settings| settings.http.web_url = PUBLIC_URL.to_owned().try_into().ok()).await?;
        let provider = json!({ "kind": "twilio", "account": ACCOUNT, "api_url": self.api_url });
        let gateway = json!({ "number": NUMBER, "provider": provider, "secret": AUTH_TOKEN });
        let path = format!("gateways/{GATEWAY}");
        let (status, shown) = host.admin.ask_tenant(Method::PUT, &path, Some(&gateway)).await?;
        ensure!(status.is_success() && !shown.to_string().contains(AUTH_TOKEN), "{status} {shown}");
        Ok(host)
    }

    /// From now on it answers the host with this status, and sends nothing unless that is 201.
    pub fn answer(&self, status: u16) {
        let status = StatusCode::from_u16(status).unwrap_or_default();
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// The next text that the host wants to be sent.
    pub async fn next_text(&mut self) -> Result<Form> {
        in_time("the text", self.texts.recv()).await?.context("the provider has ended")
    }

    /// Reports a text of a phone to the host.
    pub async fn report(
        &mut self,
        host: &Host,
        id: &str,
        from: &EndpointId,
        text: &str,
    ) -> Result<(StatusCode, String)> {
        let form = received(id, from.reveal(), text);
        let path = messages();
        let signature = self.sign(&format!("{PUBLIC_URL}{path}"), &form, AUTH_TOKEN).await?;
        self.post(host, &path, &form, &signature).await
    }

    /// Tells the host what became of a text, at the address that the host gave for it.
    pub async fn tell(&mut self, host: &Host, url: &str, status: &str) -> Result<StatusCode> {
        let form = Form::from([("MessageSid", "SM1"), ("MessageStatus", status)].map(owned));
        let signature = self.sign(url, &form, AUTH_TOKEN).await?;
        let path = url.strip_prefix(PUBLIC_URL).context("another address than the public one")?;
        Ok(self.post(host, path, &form, &signature).await?.0)
    }

    /// What Twilio's library signs.
    pub async fn sign(&mut self, url: &str, form: &Form, auth_token: &str) -> Result<String> {
        let asked = json!({ "url": url, "form": form, "auth_token": auth_token });
        let answer = self.signer.ask(&asked).await?;
        answer.get("signature").and_then(Value::as_str).map(str::to_owned).context("no signature")
    }

    /// Posts a form where a proxy would hand it on.
    pub async fn post(
        &self,
        host: &Host,
        path: &str,
        form: &Form,
        signature: &str,
    ) -> Result<(StatusCode, String)> {
        let mut url = Url::parse("http://form")?;
        url.query_pairs_mut().extend_pairs(form);
        let request = self
            .http
            .post(format!("http://{}{path}", host.addresses().http))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("X-Twilio-Signature", signature)
            .body(url.query().unwrap_or_default().to_owned());
        let answer = request.send().await?;
        Ok((answer.status(), answer.text().await?))
    }
}

/// Where texts of phones are reported.
pub fn messages() -> String {
    format!("/v1/{DEFAULT_TENANT}/transits/{GATEWAY}/messages")
}

/// The parameters of a report.
pub fn received(id: &str, from: &str, text: &str) -> Form {
    let all = [("MessageSid", id), ("From", from), ("To", NUMBER), ("Body", text), ("NumMedia", "0")];
    Form::from(all.map(owned))
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The Messages resource.
async fn message(
    State(api): State<Api>,
    Path(account): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let client = Client::new().get("http://form").basic_auth(ACCOUNT, Some(AUTH_TOKEN)).build();
    let wanted = client.ok().and_then(|request| request.headers().get("authorization").cloned());
    if account != ACCOUNT || headers.get("authorization") != wanted.as_ref() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let status = *api.answers.lock().unwrap_or_else(PoisonError::into_inner);
    let Ok(url) = Url::parse(&format!("http://form/?{body}")) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    // A test that has ended reads no more.
    drop(api.texts.send(url.query_pairs().into_owned().collect()).await);
    (status, Json(json!({ "sid": "SM1", "status": "queued" }))).into_response()
}

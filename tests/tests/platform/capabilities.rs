//! What a plugin may do beyond answering, if its tenant grants it: ask a service, keep pairs, write a log.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use axum::{
    Router,
    http::{HeaderMap, Uri},
    routing::post,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use switchhook_built_guests as guests;
use switchhook_protocol::registration::RegisterBegin;
use switchhook_tests::{
    host::Host,
    waiting::{in_time, until},
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::{ALICE, BOB, install, routed};

const ROUTER: &str = "invite-router/asks";
const METHOD: &str = "registration-method/fetches";

/// A tenant's own service; it ends when dropped.
struct Service {
    url: String,
    host: String,
    /// Idempotency key and body of each request.
    asked: mpsc::Receiver<(String, String)>,
    /// Queries of the requests that have one.
    keys: mpsc::Receiver<String>,
    _serving: AbortOnDropHandle<()>,
}

impl Service {
    async fn answering(answer: &'static str) -> Result<Self> {
        let (sender, asked) = mpsc::channel(64);
        let (key_sender, keys) = mpsc::channel(64);
        let router = Router::new().route(
            "/ask",
            post(async move |uri: Uri, headers: HeaderMap, body: String| {
                let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
                sender.send((key.unwrap_or_default().to_owned(), body)).await.unwrap_or_default();
                if let Some(query) = uri.query() {
                    key_sender.send(query.to_owned()).await.unwrap_or_default();
                }
                answer
            }),
        );
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let host = format!("localhost:{}", listener.local_addr()?.port());
        let serving =
            TaskTracker::new().spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        let url = format!("http://{host}/ask");
        Ok(Self { url, host, asked, keys, _serving: AbortOnDropHandle::new(serving) })
    }

    fn grants(&self) -> Value {
        json!({ "outbound": [self.host], "fetches_per_minute": 10, "key_value_bytes": 1024 })
    }
}

async fn host() -> Result<Host> {
    Host::with(|settings| settings.plugins.allow_loopback = true).await
}

async fn grant(host: &Host, plugin: &str, grants: &Value) -> Result<StatusCode> {
    let path = format!("plugins/{plugin}/grants");
    Ok(host.admin.ask_tenant(Method::PUT, &path, Some(grants)).await?.0)
}

#[tokio::test]
async fn a_router_asks_its_tenants_service_before_it_decides() -> Result<()> {
    let (host, mut service) = (host().await?, Service::answering("tablet").await?);
    let (alice, _phone) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let _tablet = host.device("tablet", BOB).await?;
    install(&host.admin, ROUTER, guests::ASKS_THE_SERVICE, json!(service.url)).await?;

    // Without the grant there is an answer too: that it is not granted.
    let status = alice.invite(BOB).await?;
    assert_eq!(status.devices.len(), 2);
    assert!(service.asked.try_recv().is_err());

    assert_eq!(grant(&host, ROUTER, &service.grants()).await?, StatusCode::OK);
    let status = alice.invite(BOB).await?;
    let kinds: Vec<&str> = status.devices.iter().map(|device| device.kind.as_str()).collect();
    assert_eq!(kinds, ["tablet"]);
    let (key, body) = in_time("the request", service.asked.recv()).await?.context("a request")?;
    assert_eq!((key.contains(status.session.as_str()), body.as_str()), (true, ALICE));

    let lines = lines(&host, ROUTER, 2).await?;
    assert_eq!(lines, ["no answer: localhost is not granted", "the service says tablet"]);
    let metrics = host.admin.get(&format!("plugins/{ROUTER}/metrics")).await?;
    assert_eq!(metrics.pointer("/calls/answered"), Some(&json!(2)), "{metrics}");
    Ok(())
}

#[tokio::test]
async fn a_method_fetches_binds_what_the_service_says_and_keeps_a_pair_that_the_router_reads() -> Result<()> {
    let (host, mut service) = (host().await?, Service::answering("carol").await?);
    install(&host.admin, METHOD, guests::FETCHES, json!(service.url)).await?;
    assert_eq!(grant(&host, METHOD, &service.grants()).await?, StatusCode::OK);
    let phone = host.stranger().await?;

    phone.client.register_begin(&RegisterBegin { method: "fetches".parse()?, fields: [].into() }).await?;

    let (key, body) = in_time("the request", service.asked.recv()).await?.context("a request")?;
    assert_eq!((key.is_empty(), body.as_str()), (false, "{}"));
    until("the registration", async || {
        Ok(phone.registrations().await?.iter().any(|it| it.reveal() == "carol").then_some(()))
    })
    .await?;
    install(&host.admin, ROUTER, guests::ASKS_THE_SERVICE, json!("https://crm.invalid/")).await?;
    grant(&host, ROUTER, &json!({ "key_value_bytes": 1 })).await?;
    let (alice, _bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    alice.invite(BOB).await?;
    let lines = lines(&host, ROUTER, 2).await?;
    assert_eq!(lines.last().map(String::as_str), Some("last is carol"));
    Ok(())
}

#[tokio::test]
async fn plug_4_what_is_not_granted_is_not_done_and_the_attempt_hears_it() -> Result<()> {
    let (host, mut service) = (host().await?, Service::answering("carol").await?);
    install(&host.admin, METHOD, guests::FETCHES, json!(service.url)).await?;
    let begin = RegisterBegin { method: "fetches".parse()?, fields: [].into() };
    let phone = host.stranger().await?;

    phone.client.register_begin(&begin).await?;
    until("the refusal", async || {
        let decisions = host.admin.get("decisions").await?;
        let refused = |it: &Value| it.get("outcome") == Some(&json!("refused: no-answer"));
        Ok(decisions.as_array().is_some_and(|all| all.iter().any(refused)).then_some(()))
    })
    .await?;
    assert!(service.asked.try_recv().is_err());

    // Requests without room for the pair: the whole step is refused, nothing is bound.
    let tight = json!({ "outbound": [service.host], "fetches_per_minute": 10, "key_value_bytes": 4 });
    grant(&host, METHOD, &tight).await?;
    phone.client.register_begin(&begin).await?;
    in_time("the request", service.asked.recv()).await?.context("a request")?;
    until("the step", async || {
        let decisions = host.admin.get("decisions").await?;
        let stored = |it: &Value| it.get("outcome") == Some(&json!("store, bind, finish"));
        Ok(decisions.as_array().is_some_and(|all| all.iter().any(stored)).then_some(()))
    })
    .await?;
    assert!(phone.registrations().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn plug_4_grants_have_ceilings_and_leave_out_the_hosts_own_network() -> Result<()> {
    let host = Host::start().await?;
    let service = Service::answering("tablet").await?;
    install(&host.admin, ROUTER, guests::ASKS_THE_SERVICE, json!(service.url)).await?;
    for wrong in [
        json!({ "key_value_bytes": 1_000_000_000_u64 }),
        json!({ "outbound": ["a.test"], "fetches_per_minute": 1_000_000 }),
        json!({ "outbound": ["https://a.test"], "fetches_per_minute": 1 }),
        json!({ "root": true }),
    ] {
        assert_eq!(grant(&host, ROUTER, &wrong).await?, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert_eq!(grant(&host, ROUTER, &service.grants()).await?, StatusCode::OK);
    let (alice, _bob) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let status = alice.invite(BOB).await?;

    assert_eq!(routed(&host, status.session.as_str()).await?.2, None);
    assert_eq!(lines(&host, ROUTER, 1).await?, ["no answer: its address is on loopback"]);
    Ok(())
}

/// The plugin names the secret, its service gets it, and nobody else sees it.
#[tokio::test]
async fn plug_4_a_secret_is_put_into_the_request_and_stands_in_no_answer_record_or_log() -> Result<()> {
    let (host, mut service) = (host().await?, Service::answering("phone").await?);
    let (alice, _phone) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let url = format!("{}?key={{secret:crm}}", service.url);
    install(&host.admin, ROUTER, guests::ASKS_THE_SERVICE, json!(url)).await?;
    grant(&host, ROUTER, &service.grants()).await?;
    alice.invite(BOB).await?;
    assert_eq!(lines(&host, ROUTER, 1).await?, ["no answer: there is no secret \"crm\""]);

    let path = format!("plugins/{ROUTER}/secrets/crm");
    let value = json!({ "value": "s3cret-of-the-crm" });
    let (status, _) = host.admin.ask_tenant(Method::PUT, &path, Some(&value)).await?;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let session = alice.invite(BOB).await?.session;

    assert_eq!(lines(&host, ROUTER, 2).await?.last().map(String::as_str), Some("the service says phone"));
    in_time("the request", service.asked.recv()).await?.context("a request")?;
    let key = in_time("the key", service.keys.recv()).await?.context("a key")?;
    assert_eq!(key, "key=s3cret-of-the-crm");
    for seen in ["", "/secrets", "/configuration", "/logs"] {
        let seen = host.admin.get(&format!("plugins/{ROUTER}{seen}")).await?.to_string();
        assert!(!seen.contains("s3cret"), "{seen}");
    }
    let audit = host.admin.get("audit").await?.to_string();
    let decisions = host.admin.get(&format!("decisions?subject={session}")).await?.to_string();
    assert!(!audit.contains("s3cret") && !decisions.contains("s3cret"));
    Ok(())
}

/// The first lines of a plugin's log, waited for.
async fn lines(host: &Host, plugin: &str, count: usize) -> Result<Vec<String>> {
    until("the lines", async || {
        let log = host.admin.get(&format!("plugins/{plugin}/logs?wait_ms=1000")).await?;
        let lines = log.get("lines").and_then(Value::as_array).context("lines")?;
        let texts: Vec<String> =
            lines.iter().filter_map(|line| Some(line.get("text")?.as_str()?.to_owned())).collect();
        Ok((texts.len() >= count).then_some(texts))
    })
    .await
}

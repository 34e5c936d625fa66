//! The process dies at every commit and after the request of a registration that a tenant's own service decides: by a
//! company's badge, with the example of the repository.
//!
//! A request is made at least once: a process that dies before the answer counted has the next one ask again, with the
//! same key, by which the service knows it.

use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Result, ensure};
use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};
use reqwest::Method;
use serde_json::{Value, json};
use switchhook_built_guests as guests;
use switchhook_client::CallError;
use switchhook_protocol::registration::RegisterBegin;
use switchhook_tests::{
    phone::Phone,
    waiting::{in_time, until},
};
use tokio::net::TcpListener;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::{
    deaths::{Death, at_each, death},
    stage::{PROGRAM, Stage, registrations},
};

const METHOD: &str = "registration-method/register-badge";

/// Whose badge it is.
const ERIKA: &str = "erika@example.com";

/// Each with how often the service is asked in all.
const DEATHS: [Death<usize>; 7] = [
    // Nothing is stored, and the device asks again.
    death("commit.register-begin.before", 1),
    death("commit.register-begin.after", 1),
    death("commit.claim-outbox.before", 1),
    death("commit.claim-outbox.after", 1),
    death("effect.fetch.after", 2),
    death("commit.register-step.before", 2),
    death("commit.register-step.after", 1),
];

#[tokio::test]
async fn reg_12_a_service_is_asked_by_one_key_and_its_word_counts_wherever_the_process_dies() -> Result<()> {
    at_each(&DEATHS, &points().await?, die_and_go_on).await
}

/// The points that a registration passes, from the request to its end.
async fn points() -> Result<BTreeSet<String>> {
    let (mut stage, _service) = start().await?;
    let phone = stage.phone().await?;
    begin(&phone).await??;
    registered(&phone).await?;
    stage.passed_since_enrolment().await
}

async fn die_and_go_on(death: &Death<usize>) -> Result<()> {
    let (mut stage, service) = start().await?;
    let phone = stage.phone().await?;
    stage.process.arm(death.point).await?;
    // The answer may be lost with the process.
    drop(begin(&phone).await?);
    stage.died().await?;
    stage.again().await?;

    registrations(&phone).await?;
    if death.point == "commit.register-begin.before" {
        begin(&phone).await??;
    }
    registered(&phone).await?;
    let keys = service.keys();
    ensure!(keys.len() == death.left && keys.iter().collect::<BTreeSet<_>>().len() == 1, "{keys:?}");
    stage.kill_and_start_again().await?;
    assert_eq!(registrations(&phone).await?, [ERIKA.parse()?]);
    Ok(())
}

/// A service that knows one person, and the keys of what it was asked.
struct Service {
    authority: String,
    keys: Arc<Mutex<Vec<String>>>,
    _serving: AbortOnDropHandle<()>,
}

type Keys = Arc<Mutex<Vec<String>>>;

impl Service {
    async fn open() -> Result<Self> {
        let answer = async |State(keys): State<Keys>, headers: HeaderMap| {
            let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
            keys.lock().unwrap_or_else(PoisonError::into_inner).push(key.to_owned());
            Json(json!({ "endpoint": ERIKA }))
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let authority = format!("localhost:{}", listener.local_addr()?.port());
        let keys = Keys::default();
        let router = Router::new().route("/", post(answer)).with_state(Arc::clone(&keys));
        let serving =
            TaskTracker::new().spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self { authority, keys, _serving: AbortOnDropHandle::new(serving) })
    }

    fn keys(&self) -> Vec<String> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A server whose tenant has such a method.
async fn start() -> Result<(Stage, Service)> {
    let service = Service::open().await?;
    let stage = Stage::with(PROGRAM, "[plugins]\nallow_loopback = true\n").await?;
    let (status, uploaded) = stage.admin.upload(METHOD, guests::REGISTER_BADGE.to_vec()).await?;
    ensure!(status.is_success(), "{status} {uploaded}");
    let version = uploaded.get("version").cloned().unwrap_or(Value::Null);
    let configuration = json!({ "url": format!("http://{}/", service.authority) });
    let activation = json!({ "version": version, "configuration": configuration });
    stage.admin.changed(METHOD, "activate", &activation).await?;
    let grants =
        json!({ "outbound": [service.authority], "key_value_bytes": 1024, "fetches_per_minute": 60 });
    for (what, value) in [("grants", grants), ("secrets/badges", json!({ "value": "shared" }))] {
        let path = format!("plugins/{METHOD}/{what}");
        let (status, body) = stage.admin.ask_tenant(Method::PUT, &path, Some(&value)).await?;
        ensure!(status.is_success(), "{what}: {status} {body}");
    }
    Ok((stage, service))
}

async fn begin(phone: &Phone) -> Result<Result<(), CallError>> {
    let fields = [("badge", "4711"), ("pin", "abc")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let begin = RegisterBegin { method: "register-badge".parse()?, fields: fields.into() };
    Ok(in_time("the answer", phone.client.register_begin(&begin)).await?.map(drop))
}

/// Waits until the service's word has counted.
async fn registered(phone: &Phone) -> Result<()> {
    until("the registration", async || {
        let held = registrations(phone).await?;
        Ok((!held.is_empty()).then_some(()))
    })
    .await
}

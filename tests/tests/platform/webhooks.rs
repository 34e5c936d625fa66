//! A tenant's own service in a slot: asked by signed requests, held to the rules of plugins.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use switchhook_protocol::{error::ErrorCode, registration::RegisterBegin};
use switchhook_tests::{
    host::Host,
    phone::{open, refusal},
    python::Python,
    service::{SECRET, Service},
    signed::Signer,
    waiting::{in_time, until},
};
use tokio::sync::mpsc;

use crate::{ALICE, BOB, routed};

const ROUTER: &str = "invite-router/own";

/// Whether the next answers are nonsense.
type Nonsense = Arc<Mutex<bool>>;

async fn service() -> Result<(Service, Nonsense)> {
    let nonsense = Nonsense::default();
    let broken = Arc::clone(&nonsense);
    let service = Service::start(move |asked| {
        let broken = *broken.lock().unwrap_or_else(PoisonError::into_inner);
        if broken { json!({"sing": {}}) } else { answer(asked) }
    });
    Ok((service.await?, nonsense))
}

/// Rings tablets alone, accepts any configuration but `false`, and binds whoever begins as `own-<event>`.
fn answer(asked: &Value) -> Value {
    if asked.get("describe").is_some() {
        json!({ "name": "own", "version": "3", "summary": "Answers from our own rooms.", "text_prefixes": [] })
    } else if let Some(configuration) = asked.get("validate-config") {
        let wrong = json!({ "refused": { "code": "no", "message": "false is no configuration" } });
        if configuration == &json!(false) { wrong } else { json!({}) }
    } else if let Some(targets) = asked.pointer("/route/targets").and_then(Value::as_array) {
        let tablets = targets.iter().enumerate().filter(|(_, it)| it.get("kind") == Some(&json!("tablet")));
        let rings: Vec<_> =
            tablets.map(|(target, _)| json!({ "target": target, "ring_time_ms": 9_000 })).collect();
        json!({ "ring": { "waves": [{ "rings": rings, "starts_after_ms": 0 }], "finally": { "give-up": "gone" } } })
    } else {
        json!({ "state": "", "expires_in_ms": 60_000, "effects": [{ "bind": "own-user" }, "finish"] })
    }
}

/// A router that answers its first question when it is let.
struct Slow {
    is_asked: mpsc::Receiver<()>,
    release: std::sync::mpsc::Sender<()>,
    _service: Service,
}

impl Slow {
    async fn install(host: &Host) -> Result<Self> {
        let (release, released) = std::sync::mpsc::channel();
        let (asked, is_asked) = mpsc::channel(1);
        let released = Arc::new(Mutex::new(released));
        let service = Service::start(move |question| {
            if question.get("route").is_some() && asked.try_send(()).is_ok() {
                let released = released.lock().unwrap_or_else(PoisonError::into_inner);
                tokio::task::block_in_place(|| released.recv()).unwrap_or_default();
            }
            answer(question)
        });
        let service = service.await?;
        service.install(host, ROUTER).await?;
        Ok(Self { is_asked, release, _service: service })
    }

    /// Does something while the router is asked, and its caller waits.
    async fn meanwhile<T, U>(
        &mut self,
        caller: impl Future<Output = T>,
        does: impl AsyncFnOnce() -> Result<U>,
    ) -> Result<U> {
        let behind = async {
            in_time("the question", self.is_asked.recv()).await?.context("the router is asked")?;
            does().await
        };
        tokio::select! {
            biased;
            _ = caller => bail!("the router has not answered, and its caller is answered"),
            done = behind => done,
        }
    }
}

/// INV-1
#[tokio::test(flavor = "multi_thread")]
async fn while_a_router_is_asked_its_caller_is_answered_what_comes_behind() -> Result<()> {
    let host = host().await?;
    let (alice, _tablet) = (host.phone(ALICE).await?, host.device("tablet", BOB).await?);
    let mut router = Slow::install(&host).await?;

    let mut inviting = Box::pin(alice.invite(BOB));
    let prepared = alice.prepare(&open()).await?;
    let invite = alice.invite_of(&prepared, &[BOB])?;
    let mut more: FuturesUnordered<_> = (0..8).map(|_| alice.client.invite(&invite)).collect();
    let answers = router
        .meanwhile(&mut inviting, async || {
            // Some wait for the router, too; the rest is refused and keeps nothing waiting.
            let refused = in_time("a refusal", more.next()).await?.context("there are eight")?;
            Ok((refusal(refused)?, in_time("the answer to what comes behind", alice.client.sync()).await??))
        })
        .await?;
    assert_eq!(answers.0, ErrorCode::Overloaded);
    assert_eq!(answers.1.rings.len(), 0);
    router.release.send(())?;
    assert_eq!(inviting.await?.devices.len(), 1);
    Ok(())
}

/// INV-16: what is committed is told, though nobody waits for the answer.
#[tokio::test(flavor = "multi_thread")]
async fn inv_16_an_invite_rings_though_its_caller_has_hung_up() -> Result<()> {
    let Some(python) = Python::of("inv_16_an_invite_rings_though_its_caller_has_hung_up") else {
        return Ok(());
    };
    let host = host().await?;
    let (alice, mut tablet) = (host.phone(ALICE).await?, host.device("tablet", BOB).await?);
    let mut router = Slow::install(&host).await?;
    let invite = alice.invite_of(&alice.prepare(&open()).await?, &[BOB])?;
    let signer = Signer::new(&python, host.addresses().http, "default", &alice.identity)?;

    router.meanwhile(signer.ask(&invite), async || Ok(())).await?;
    // By then the server has heard that its connection is over.
    for _ in 0..8 {
        in_time("an answer", tablet.client.sync()).await??;
    }
    router.release.send(())?;

    tablet.expect_invite().await?;
    Ok(())
}

#[tokio::test]
async fn a_webhook_routes_like_a_component_and_fails_like_one() -> Result<()> {
    let (host, (service, nonsense)) = (host().await?, service().await?);
    let (alice, _phone) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let _tablet = host.device("tablet", BOB).await?;
    assert_eq!(upload(&host, ROUTER, &service.upload()).await?.0, StatusCode::CREATED);
    host.admin.changed(ROUTER, "activate", &json!({ "version": 1 })).await?;

    let status = alice.invite(BOB).await?;
    let kinds: Vec<&str> = status.devices.iter().map(|device| device.kind.as_str()).collect();
    assert_eq!(kinds, ["tablet"]);

    *nonsense.lock().unwrap_or_else(PoisonError::into_inner) = true;
    let status = alice.invite(BOB).await?;
    assert_eq!(status.devices.len(), 2, "the declared default counts");
    let (_, _, failure) = routed(&host, status.session.as_str()).await?;
    let failure = failure.context("a failure")?;
    assert!(failure.contains("cannot be read"), "{failure}");

    drop(service);
    let status = alice.invite(BOB).await?;
    let (_, _, failure) = routed(&host, status.session.as_str()).await?;
    assert!(failure.context("a failure")?.contains("did not answer"));
    Ok(())
}

#[tokio::test]
async fn a_webhook_is_listed_judges_its_configuration_and_survives_a_restart() -> Result<()> {
    let (mut host, (service, _)) = (host().await?, service().await?);
    upload(&host, ROUTER, &service.upload()).await?;
    let wrong =
        host.admin.change(ROUTER, "activate", &json!({ "version": 1, "configuration": false })).await?;
    assert_eq!(wrong.0, StatusCode::UNPROCESSABLE_ENTITY, "{}", wrong.1);
    assert!(wrong.1.to_string().contains("false is no configuration"), "{}", wrong.1);
    host.admin.changed(ROUTER, "activate", &json!({ "version": 1 })).await?;

    let shown = host.admin.get(&format!("plugins/{ROUTER}")).await?;
    assert_eq!(shown.pointer("/versions/0/kind"), Some(&json!("webhook")), "{shown}");
    assert!(!shown.to_string().contains(SECRET));
    let version = host.admin.get(&format!("plugins/{ROUTER}/versions/1")).await?;
    assert_eq!(version.pointer("/report/description/version"), Some(&json!("3")), "{version}");

    host.restart(async |_| Ok(())).await?;

    let (alice, _tablet) = (host.phone(ALICE).await?, host.device("tablet", BOB).await?);
    let status = alice.invite(BOB).await?;
    let (by, _, failure) = routed(&host, status.session.as_str()).await?;
    assert_eq!((by.as_str(), failure), ("own", None));
    Ok(())
}

#[tokio::test]
async fn reg_12_a_webhook_registers_whom_it_knows() -> Result<()> {
    let (host, (service, _)) = (host().await?, service().await?);
    let plugin = "registration-method/own";
    upload(&host, plugin, &service.upload()).await?;
    host.admin.changed(plugin, "activate", &json!({ "version": 1 })).await?;
    let phone = host.stranger().await?;

    phone.client.register_begin(&RegisterBegin { method: "own".parse()?, fields: [].into() }).await?;

    until("the registration", async || {
        Ok(phone.registrations().await?.iter().any(|it| it.reveal() == "own-user").then_some(()))
    })
    .await
}

#[tokio::test]
async fn plug_4_a_webhook_that_is_none_is_refused_with_the_reason() -> Result<()> {
    let (open, closed) = (host().await?, Host::start().await?);
    let (service, _) = service().await?;
    let refused = async |host: &Host, webhook: Value, wanted: StatusCode, words: &str| {
        let (status, problem) = upload(host, ROUTER, &json!({ "webhook": webhook })).await?;
        assert_eq!(status, wanted, "{problem}");
        assert!(problem.to_string().contains(words), "{words}: {problem}");
        anyhow::Ok(())
    };
    let (url, unprocessable) = (&service.url, StatusCode::UNPROCESSABLE_ENTITY);
    let stranger = "the secret of somebody else";
    refused(&open, json!({ "url": url, "secret": stranger }), unprocessable, "status 401").await?;
    refused(&open, json!({ "url": "ftp://a.test/" }), StatusCode::BAD_REQUEST, "none of the web").await?;
    refused(&open, json!({ "url": url, "secret": "short" }), StatusCode::BAD_REQUEST, "secret").await?;
    refused(&closed, json!({ "url": url, "secret": SECRET }), unprocessable, "did not answer").await?;
    Ok(())
}

async fn host() -> Result<Host> {
    Host::with(|settings| settings.plugins.allow_loopback = true).await
}

async fn upload(host: &Host, plugin: &str, webhook: &Value) -> Result<(StatusCode, Value)> {
    host.admin.ask_tenant(Method::POST, &format!("plugins/{plugin}/versions"), Some(webhook)).await
}

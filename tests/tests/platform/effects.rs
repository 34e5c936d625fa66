//! What a registration method lets happen beside texts and mails: it asks, waits, tells, and speaks for a profile.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context as _, Result, bail};
use axum::{Json, Router, routing::post};
use reqwest::Method;
use serde_json::{Value, json};
use switchhook_core::policy::registration::{Effect, Fetch};
use switchhook_protocol::{
    event::Event,
    id::AttemptId,
    registration::{Credentials, RegisterAnswer, RegisterBegin, RegistrationProgress, Scope},
};
use switchhook_tests::{
    host::Host,
    phone::Phone,
    profile::{PASSWORD, sign_in, user},
    service::Service,
    waiting::{in_time, until},
};
use tokio::net::TcpListener;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

const METHOD: &str = "registration-method/own";

const BOB: &str = "bob@example.org";

/// REG-8, REG-13
#[tokio::test]
async fn a_method_waits_over_a_restart_tells_its_device_and_asks_its_user() -> Result<()> {
    let mut host = host().await?;
    let deadlines = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&deadlines);
    let method = method(move |event| {
        if event == "deadline" {
            counted.fetch_add(1, Ordering::Relaxed);
            return json!([{ "ask": ["badge"] }, { "notify": "late" }]);
        }
        match field(event, "answered", "badge") {
            Some(badge) => json!([{ "bind": badge }, "finish"]),
            // Longer than the device needs to leave.
            None => json!([{ "after-ms": 8_000 }]),
        }
    });
    let _method = installed(&host, method.await?).await?;
    let phone = host.stranger().await?;
    let RegistrationProgress::Pending { attempt } = begin(&phone, &[]).await? else { bail!("not pending") };

    let (settings, identity) = phone.leave().await;
    host.restart(async |_| Ok(())).await?;
    let mut phone = Phone::connect(settings, identity).await?;

    let notice = phone.expect_notice().await?;
    assert_eq!((notice.attempt, notice.word.as_str(), notice.endpoint), (attempt.clone(), "late", None));
    let asked = phone
        .expect_event(
            "a question",
            |event| if let Event::Asked(asked) = event { Some(asked.clone()) } else { None },
        )
        .await?;
    assert_eq!((&asked.attempt, asked.fields), (&attempt, vec!["badge".to_owned()]));
    let progress = answer(&phone, &attempt, &[("badge", "badge-7")]).await?;
    assert_eq!(progress, RegistrationProgress::Registered { endpoint: "badge-7".parse()? });
    assert_eq!(deadlines.load(Ordering::Relaxed), 1, "it came once");
    Ok(())
}

/// REG-17
#[tokio::test]
async fn reg_8_each_device_of_a_profile_that_asked_hears_once_and_no_other() -> Result<()> {
    let host = host().await?;
    user(&host.admin, "bob", &[]).await?;
    user(&host.admin, "carol", &[]).await?;
    let method = method(|event| {
        let set = |state: &str| json!({ "set-address-state": { "address": BOB, "state": state } });
        if field(event, "begun", "ask").is_some() {
            json!([set("asked")])
        } else if field(event, "answered", "validated").is_some() {
            json!([set("validated"), { "notify": "validated" }])
        } else {
            json!([{ "notify": "marked" }])
        }
    });
    let _method = installed(&host, method.await?).await?;
    let (mut phone, mut tablet, mut watch, mut stranger) =
        (host.stranger().await?, host.stranger().await?, host.stranger().await?, host.stranger().await?);
    let first = ask(&phone, &sign_in(&phone, "bob").await?).await?;
    let second = ask(&tablet, &sign_in(&tablet, "bob").await?).await?;
    let watchs = sign_in(&watch, "bob").await?;
    // Somebody else's profile may have asked for the same address.
    ask(&stranger, &sign_in(&stranger, "carol").await?).await?;

    // The phone hears by its answer.
    answer(&phone, &first, &[("validated", "yes")]).await?;
    let notice = tablet.expect_notice().await?;
    assert_eq!((&notice.attempt, notice.word.as_str()), (&second, "validated"));
    assert_eq!(notice.endpoint, Some(BOB.parse()?));
    answer(&phone, &first, &[("validated", "again")]).await?;

    // What each hears next is not a second one.
    for device in [&mut phone, &mut tablet, &mut watch, &mut stranger] {
        begin(device, &[]).await?;
        assert_eq!(device.expect_notice().await?.word, "marked");
    }
    drop(watchs);
    Ok(())
}

#[tokio::test]
async fn reg_9_a_method_makes_no_credentials_for_what_is_not_validated_or_not_asked_for() -> Result<()> {
    let host = host().await?;
    user(&host.admin, "bob", &[]).await?;
    let method = method(|event| {
        let issue = |scope: &str, of: &str| json!({ "issue-credentials": { "scope": scope, "identifier": of, "expires_in_ms": 60_000 } });
        if let Some(scope) = field(event, "begun", "scope") {
            json!([issue(&scope, BOB)])
        } else if field(event, "begun", "mark").is_some() {
            json!([{ "notify": "marked" }])
        } else if event == "deadline" {
            json!([issue("profile", "bob"), { "notify": "issued" }])
        } else {
            json!([{ "after-ms": 1_000 }])
        }
    });
    let _method = installed(&host, method.await?).await?;
    let mut phone = host.stranger().await?;

    let refused = |error: anyhow::Error| format!("{error:#}");
    let nobody = begin(&phone, &[("scope", "login")]).await.map_err(refused).unwrap_err();
    assert!(nobody.contains("nobody has signed in"), "{nobody}");
    let profile = sign_in(&phone, "bob").await?;
    let held = [("scope", "address"), (Scope::Profile.field(), &profile.credentials)];
    let early = begin(&phone, &held).await.map_err(refused).unwrap_err();
    assert!(early.contains("address-not-validated"), "{early}");

    // Those that no answer would carry are not made: the step is refused whole, its word with it.
    begin(&phone, &[]).await?;
    until("the step", async || {
        let decisions = host.admin.get("decisions").await?;
        let asked = |it: &Value| it.get("outcome") == Some(&json!("issue-credentials, notify"));
        Ok(decisions.as_array().is_some_and(|all| all.iter().any(asked)).then_some(()))
    })
    .await?;
    begin(&phone, &[("mark", "yes")]).await?;
    assert_eq!(phone.expect_notice().await?.word, "marked");
    Ok(())
}

#[tokio::test]
async fn reg_6_a_directory_of_the_tenants_own_gets_the_password_that_no_method_sees() -> Result<()> {
    let host = host().await?;
    let directory = Directory::start().await?;
    let url = directory.url.clone();
    let method = method(move |event| {
        if let Some(handle) = field(event, "begun", "password") {
            assert!(!handle.contains(PASSWORD), "the method sees it");
            let body = format!(r#"{{"user":"dave","password":"{{password:{handle}}}"}}"#);
            let fetch = Fetch { id: "directory".to_owned(), url: url.clone(), body: body.into_bytes() };
            json!([Effect::Fetch(fetch)])
        } else if field(event, "answered", "user").is_some() {
            let issue = json!({ "scope": "profile", "identifier": "dave", "expires_in_ms": 60_000 });
            json!([{ "issue-credentials": issue }, "finish"])
        } else {
            json!([{ "notify": "signed-in" }])
        }
    });
    let _method = installed(&host, method.await?).await?;
    let grants = json!({ "outbound": [directory.host], "fetches_per_minute": 10 });
    host.admin.ask_tenant(Method::PUT, &format!("plugins/{METHOD}/grants"), Some(&grants)).await?;
    let mut phone = host.stranger().await?;

    let begun = begin(&phone, &[("user", "dave"), ("password", PASSWORD)]).await?;
    let RegistrationProgress::Pending { attempt } = begun else { bail!("{begun:?}") };
    assert_eq!(phone.expect_notice().await?.word, "signed-in");
    let issued = answer(&phone, &attempt, &[("user", "dave")]).await?;
    let RegistrationProgress::Issued(credentials) = issued else { bail!("{issued:?}") };
    assert_eq!(credentials.scope, Scope::Profile);
    assert_eq!(directory.right.load(Ordering::Relaxed), 1);
    Ok(())
}

/// A tenant's directory, which knows one password; it ends when dropped.
struct Directory {
    url: String,
    host: String,
    /// How often it was right.
    right: Arc<AtomicUsize>,
    _serving: AbortOnDropHandle<()>,
}

impl Directory {
    async fn start() -> Result<Self> {
        let right = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&right);
        let check = async move |Json(asked): Json<Value>| {
            counted
                .fetch_add(usize::from(asked.get("password") == Some(&json!(PASSWORD))), Ordering::Relaxed);
            Json(json!({}))
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let host = format!("localhost:{}", listener.local_addr()?.port());
        // The host asks with a body and says what it is.
        let router = Router::new().route("/check", post(check));
        let serving =
            TaskTracker::new().spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self {
            url: format!("http://{host}/check"),
            host,
            right,
            _serving: AbortOnDropHandle::new(serving),
        })
    }
}

async fn host() -> Result<Host> {
    Host::with(|settings| settings.plugins.allow_loopback = true).await
}

/// A method whose effects a test writes; it lives for ten minutes after each step.
async fn method(effects: impl Fn(&Value) -> Value + Clone + Send + Sync + 'static) -> Result<Service> {
    Service::start(move |asked| {
        if asked.get("describe").is_some() {
            return json!({ "name": "own", "version": "1", "summary": "A test writes it.", "text_prefixes": [] });
        }
        match asked.pointer("/step/event") {
            Some(event) => json!({ "state": "", "effects": effects(event), "expires_in_ms": 600_000 }),
            None => json!({}),
        }
    })
    .await
}

async fn installed(host: &Host, method: Service) -> Result<Service> {
    method.install(host, METHOD).await?;
    Ok(method)
}

/// A field of an event of this kind.
fn field(event: &Value, kind: &str, name: &str) -> Option<String> {
    let fields = event.get(kind)?.as_array()?;
    let found = fields.iter().find(|field| field.get("name").and_then(Value::as_str) == Some(name))?;
    found.get("value")?.as_str().map(str::to_owned)
}

/// Asks about Bob's address.
async fn ask(phone: &Phone, profile: &Credentials) -> Result<AttemptId> {
    let progress = begin(phone, &[("ask", "yes"), (Scope::Profile.field(), &profile.credentials)]).await?;
    let RegistrationProgress::Pending { attempt } = progress else { bail!("{progress:?}") };
    Ok(attempt)
}

async fn begin(phone: &Phone, fields: &[(&str, &str)]) -> Result<RegistrationProgress> {
    let begin = RegisterBegin { method: "own".parse()?, fields: filled(fields) };
    in_time("the answer", phone.client.register_begin(&begin)).await?.context("refused")
}

async fn answer(phone: &Phone, attempt: &AttemptId, fields: &[(&str, &str)]) -> Result<RegistrationProgress> {
    let answer = RegisterAnswer { attempt: attempt.clone(), fields: filled(fields) };
    Ok(in_time("the answer", phone.client.register_answer(&answer)).await??)
}

fn filled(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

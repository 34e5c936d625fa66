//! Versions: uploaded, shown, activated, configured, rolled back, kept over a restart (PLUG-1).

use anyhow::{Context as _, Result};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use switchhook_built_guests as guests;
use switchhook_protocol::registration::{RegisterBegin, RegistrationProgress};
use switchhook_tests::{host::Host, phone::Phone};

use crate::{ALICE, BOB, install, routed, upload};

const ROUTER: &str = "invite-router/my-router";
const METHOD: &str = "registration-method/my-method";

#[tokio::test]
async fn plug_1_an_uploaded_router_decides_once_it_is_active_and_no_more_when_it_is_rolled_back() -> Result<()>
{
    let host = Host::start().await?;
    let (alice, _phone) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let _tablet = host.device("tablet", BOB).await?;
    let ask = async || routed(&host, alice.invite(BOB).await?.session.as_str()).await;

    let version = upload(&host.admin, ROUTER, guests::HUNTS).await?;
    assert_eq!(ask().await?.0, "route-ring-all", "an upload changes nothing");

    let active = host.admin.changed(ROUTER, "activate", &json!({ "version": version })).await?;
    assert_eq!(active, json!({ "active_name": "my-router", "active_version": 1 }));
    assert_eq!(ask().await?, ("my-router".to_owned(), "ring 2 in 2 wave(s)".to_owned(), None));

    let back = host.admin.changed(ROUTER, "rollback", &json!({ "mode": "drain" })).await?;
    assert_eq!(back, json!({ "active_name": "route-ring-all", "active_version": 1 }));
    assert_eq!(ask().await?, ("route-ring-all".to_owned(), "ring 2 in 1 wave(s)".to_owned(), None));
    Ok(())
}

#[tokio::test]
async fn a_refused_upload_says_why_and_leaves_what_runs_alone() -> Result<()> {
    let host = Host::start().await?;
    install(&host.admin, ROUTER, guests::HUNTS, json!(5)).await?;
    let before = host.admin.get(&format!("plugins/{ROUTER}")).await?;

    for wrong in [b"hello".to_vec(), b"\0asm\x01\0\0\0".to_vec(), guests::LOOPS_IN_DESCRIBE.to_vec()] {
        let (status, problem) = host.admin.upload(ROUTER, wrong).await?;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(problem.get("code"), Some(&json!("plugin-refused")));
        assert!(problem.get("detail").and_then(Value::as_str).is_some_and(|detail| detail.len() > 10));
    }
    let (status, problem) = host.admin.upload(ROUTER, guests::FETCHES.to_vec()).await?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    let (status, problem) = host.admin.upload(ROUTER, vec![0; 32 * 1024 * 1024 + 1]).await?;
    assert_eq!((status, problem.get("code")), (StatusCode::PAYLOAD_TOO_LARGE, Some(&json!("too-large"))));

    assert_eq!(host.admin.get(&format!("plugins/{ROUTER}")).await?, before);
    Ok(())
}

#[tokio::test]
async fn a_configuration_is_judged_by_the_plugin_and_used_at_once() -> Result<()> {
    let host = Host::start().await?;
    install(&host.admin, ROUTER, guests::HUNTS, json!(5)).await?;

    let (status, problem) = host.admin.configure(ROUTER, &json!(500)).await?;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem.get("code"), Some(&json!("configuration-refused")));
    let words = problem.get("detail").and_then(Value::as_str).unwrap_or_default();
    assert!(words.contains("1 to 60 seconds"), "{words}");
    assert_eq!(host.admin.get(&format!("plugins/{ROUTER}/configuration")).await?, json!(5));

    let (status, _) = host.admin.configure(ROUTER, &json!(9)).await?;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(host.admin.get(&format!("plugins/{ROUTER}/configuration")).await?, json!(9));
    let version = upload(&host.admin, ROUTER, guests::HUNTS).await?;
    let shown = host.admin.get(&format!("plugins/{ROUTER}/versions/{version}")).await?;
    assert_eq!(shown.get("configuration"), Some(&json!(9)), "a new version inherits it");
    Ok(())
}

/// What is active, what was configured and what drains is the same after a restart.
#[tokio::test]
async fn versions_survive_a_restart_and_an_attempt_asks_the_version_that_it_began_with() -> Result<()> {
    let mut host = Host::start().await?;
    install(&host.admin, METHOD, guests::REMEMBERS_TOO_MUCH, json!({})).await?;
    let phone = host.stranger().await?;
    let attempt = begin(&phone).await?;
    assert_eq!(host.admin.decisions(&attempt).await?.len(), 1);
    install(&host.admin, METHOD, guests::BINDS_NONSENSE, json!({})).await?;
    assert_eq!(states(&host).await?, ["draining", "active"]);
    let (settings, identity) = phone.leave().await;

    host.restart(async |_| Ok(())).await?;

    assert_eq!(states(&host).await?, ["draining", "active"]);
    let phone = Phone::connect(settings, identity).await?;
    let code = switchhook_protocol::registration::RegisterCode {
        attempt: attempt.parse()?,
        code: "123456".to_owned(),
    };
    // The method never sent a code: the host refuses, and does not ask it.
    assert!(phone.client.register_code(&code).await.is_err());
    host.admin.changed(METHOD, "rollback", &json!({ "mode": "kill" })).await?;
    assert_eq!(states(&host).await?, ["active", "killed"]);
    let (status, _) = host.admin.change(METHOD, "activate", &json!({ "version": 2 })).await?;
    assert_eq!(status, StatusCode::CONFLICT);
    Ok(())
}

#[tokio::test]
async fn plug_1_every_change_stands_in_the_audit() -> Result<()> {
    let host = Host::start().await?;
    install(&host.admin, ROUTER, guests::HUNTS, json!(5)).await?;
    host.admin.configure(ROUTER, &json!(6)).await?;
    host.admin.changed(ROUTER, "rollback", &json!({})).await?;
    let grants = json!({ "key_value_bytes": 1024 });
    host.admin.ask_tenant(Method::PUT, &format!("plugins/{ROUTER}/grants"), Some(&grants)).await?;

    let audit = host.admin.get("audit").await?;
    let entries = audit.get("entries").and_then(Value::as_array).context("entries")?;
    let of_router = entries.iter().filter(|it| it.get("subject") == Some(&json!("invite-router/my-router")));
    let actions: Vec<&str> = of_router.filter_map(|it| it.get("action").and_then(Value::as_str)).collect();
    let expected =
        ["plugin.upload", "plugin.activate", "plugin.configure", "plugin.rollback", "plugin.grant"];
    assert_eq!(actions, expected);
    Ok(())
}

/// REG-12: a third party's method stands beside the host's own, under a name of its own.
#[tokio::test]
async fn reg_12_a_method_of_a_third_party_registers_beside_the_built_in_ones() -> Result<()> {
    let host = Host::start().await?;
    install(&host.admin, "registration-method/entry-of-acme", built_in("register-phone-entry")?, json!({}))
        .await?;
    let phone = host.stranger().await?;
    for method in ["entry-of-acme", "register-phone-entry"] {
        let begun = RegisterBegin {
            method: method.parse()?,
            fields: [("number".to_owned(), ALICE.to_owned())].into(),
        };
        let progress = phone.client.register_begin(&begun).await?;
        assert!(matches!(progress, RegistrationProgress::CodeSent { .. }), "{method}: {progress:?}");
    }
    let (status, problem) =
        host.admin.upload("registration-method/other-sms", built_in("register-sms")?.to_vec()).await?;
    assert_eq!(status, StatusCode::CREATED, "{problem}");
    let (status, problem) =
        host.admin.change("registration-method/other-sms", "activate", &json!({ "version": 1 })).await?;
    assert_eq!((status, problem.get("code")), (StatusCode::CONFLICT, Some(&json!("plugin-state"))));
    let words = problem.get("detail").and_then(Value::as_str).unwrap_or_default();
    assert!(words.contains("SWH") && words.contains("register-sms"), "{words}");
    Ok(())
}

fn built_in(name: &str) -> Result<&'static [u8]> {
    let found = switchhook_plugin_runtime::builtin::all().iter().find(|it| it.name == name);
    Ok(found.context("no such plugin")?.bytes)
}

async fn begin(phone: &Phone) -> Result<String> {
    let begun = RegisterBegin { method: "my-method".parse()?, fields: [].into() };
    let progress = phone.client.register_begin(&begun).await?;
    let RegistrationProgress::Pending { attempt } = progress else { anyhow::bail!("{progress:?}") };
    Ok(attempt.to_string())
}

/// The states of the method's versions.
async fn states(host: &Host) -> Result<Vec<String>> {
    let shown = host.admin.get(&format!("plugins/{METHOD}")).await?;
    let versions = shown.get("versions").and_then(Value::as_array).context("versions")?;
    let state = |it: &Value| Some(it.get("state")?.as_str()?.to_owned());
    versions.iter().map(|it| state(it).context("a state")).collect()
}

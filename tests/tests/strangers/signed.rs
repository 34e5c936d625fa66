//! Signed requests that are not what they should be (INV-16).

use anyhow::Result;
use serde_json::{Value, json};
use switchhook_protocol::error::ErrorCode;
use switchhook_tests::{
    host::Host,
    python::Python,
    signed::{Answered, Signer, with},
};

/// A host with one device, and a good request of it.
struct Stage {
    host: Host,
    signer: Signer,
    good: Value,
}

impl Stage {
    async fn start(test: &str) -> Result<Option<Self>> {
        let Some(python) = Python::of(test) else { return Ok(None) };
        let host = Host::start().await?;
        let (_, identity) = host.stranger().await?.leave().await;
        let signer = Signer::new(&python, host.addresses().http, "default", &identity)?;
        let good = signer.request("sync", &json!({}))?;
        Ok(Some(Self { host, signer, good }))
    }

    /// Each change of the good request gets this code, and nothing is stored.
    async fn refuses(&self, changes: &[Value], code: ErrorCode) -> Result<()> {
        let before = self.host.stored().await?;
        let asked: Vec<Value> = changes.iter().map(|change| with(self.good.clone(), change)).collect();
        let answers = self.signer.send(&asked).await?;
        for (answer, change) in answers.iter().zip(changes) {
            assert_eq!((answer.status, answer.code()), (code.status(), code.word()), "{change}: {answer:?}");
        }
        assert_eq!(self.host.stored().await?, before);
        Ok(())
    }
}

#[tokio::test]
async fn inv_16_a_request_that_is_not_the_one_that_was_signed_is_refused() -> Result<()> {
    let Some(stage) = Stage::start("inv_16_a_request_that_is_not_the_one_that_was_signed").await? else {
        return Ok(());
    };
    let http = stage.host.addresses().http;
    stage.host.admin.at("acme").create_tenant().await?;
    let url = |place: &str| json!({ "sent": { "url": format!("http://{http}/v1/{place}") } });
    let header = |name: &str, value: &str| json!({ "sent": { "headers": { name: value } } });
    let changes = [
        url("default/requests/end"),
        url("acme/requests/sync"),
        json!({ "sent": { "body": "{} " } }),
        header("Host", "elsewhere.example"),
        header("Content-Type", "text/plain"),
        header("Content-Digest", "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:, sha-512=:AAAA:"),
        header("Signature", "pyhms=:AAAA:"),
        // By another key, or by one that is nobody's.
        json!({ "key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE" }),
        json!({ "device": "nobody" }),
        json!({ "device": "no id" }),
        json!({ "algorithm": "p256" }),
    ];
    stage.refuses(&changes, ErrorCode::BadSignature).await
}

#[tokio::test]
async fn inv_16_a_device_of_another_tenant_is_nobody() -> Result<()> {
    let Some(stage) = Stage::start("inv_16_a_device_of_another_tenant").await? else { return Ok(()) };
    stage.host.admin.at("acme").create_tenant().await?;
    let http = stage.host.addresses().http;
    let url = |tenant: &str| json!({ "url": format!("http://{http}/v1/{tenant}/requests/sync") });
    stage.refuses(&[url("acme")], ErrorCode::BadSignature).await?;
    stage.refuses(&[url("nobody"), url("no%20body")], ErrorCode::UnknownTenant).await
}

#[tokio::test]
async fn inv_16_a_signature_that_covers_too_little_says_what_it_lacks() -> Result<()> {
    let Some(stage) = Stage::start("inv_16_a_signature_that_covers_too_little").await? else { return Ok(()) };
    let parts = ["@method", "@authority", "@path", "content-digest"];
    let covering = |without: &str| {
        let covered: Vec<&str> = parts.into_iter().filter(|part| *part != without).collect();
        json!({ "covered": covered })
    };
    let mut changes: Vec<Value> = parts.into_iter().map(covering).collect();
    changes.extend([
        json!({ "nonce": "short" }),
        json!({ "nonce": "x".repeat(65) }),
        json!({ "without": ["Content-Digest"] }),
        json!({ "without": ["Signature"] }),
        json!({ "without": ["Signature-Input"] }),
        json!({ "sent": { "headers": { "Content-Digest": "md5=:AAAA:" } } }),
        json!({ "sent": { "headers": { "Signature-Input": "pyhms=(" } } }),
        json!({ "covered": [parts[0], parts[1], parts[2], parts[3], "@target-uri"] }),
    ]);
    stage.refuses(&changes, ErrorCode::SignatureIncomplete).await
}

#[tokio::test]
async fn inv_16_a_signature_of_another_time_is_refused_with_the_hosts_time() -> Result<()> {
    let Some(stage) = Stage::start("inv_16_a_signature_of_another_time").await? else { return Ok(()) };
    let changes = [
        json!({ "created": -60 }),
        json!({ "created": 600 }),
        json!({ "lasts": 600 }),
        json!({ "lasts": -1 }),
    ];
    stage.refuses(&changes, ErrorCode::SignatureExpired).await?;
    let answers = stage.signer.send(&[with(stage.good.clone(), &changes[0])]).await?;
    assert!(answers[0].headers["date"].is_string(), "{answers:?}");
    Ok(())
}

#[tokio::test]
async fn inv_16_a_request_that_is_sent_again_is_refused_also_after_a_restart() -> Result<()> {
    let Some(mut stage) = Stage::start("inv_16_a_request_that_is_sent_again").await? else { return Ok(()) };
    let once = with(stage.good.clone(), &json!({ "nonce": "a nonce that is used twice" }));

    let answers = stage.signer.send(&[once.clone(), once.clone()]).await?;
    let codes: Vec<(u16, &str)> = answers.iter().map(|answer| (answer.status, answer.code())).collect();
    assert_eq!(codes, [(200, ""), (409, "replayed")]);

    stage.host.restart(async |_| Ok(())).await?;
    let again = stage.signer.send(&[once, stage.good.clone()]).await?;
    let codes: Vec<(u16, &str)> = again.iter().map(|answer| (answer.status, answer.code())).collect();
    assert_eq!(codes, [(409, "replayed"), (200, "")]);
    Ok(())
}

#[tokio::test]
async fn inv_16_a_body_that_is_no_operations_or_too_large_is_refused() -> Result<()> {
    let Some(stage) = Stage::start("inv_16_a_body_that_is_no_operations").await? else { return Ok(()) };
    let bodies = ["", "{", "7", "\"\"", "{\"ticket\":7}", "\u{fffd}"].map(|body| {
        json!({ "body": body, "url": stage.good["url"].as_str().unwrap_or_default().replace("sync", "cancel") })
    });
    let asked: Vec<Value> = bodies.iter().map(|change| with(stage.good.clone(), change)).collect();
    let answers = stage.signer.send(&asked).await?;
    assert!(answers.iter().all(|answer| answer.code() == "malformed"), "{answers:?}");

    let large = json!({ "body": " ".repeat(32 * 1024 + 1) });
    stage.refuses(&[large], ErrorCode::TooLarge).await
}

#[tokio::test]
async fn inv_16_a_device_that_asks_too_often_is_told_how_long_to_wait_and_others_are_served() -> Result<()> {
    let Some(stage) = Stage::start("inv_16_a_device_that_asks_too_often").await? else { return Ok(()) };
    let (_, neighbour) = stage.host.stranger().await?.leave().await;
    let flood: Vec<Value> = std::iter::repeat_n(stage.good.clone(), 200).collect();

    let answers = stage.signer.send(&flood).await?;

    let refused: Vec<&Answered> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(answers.len() > refused.len(), "some are served");
    let first = refused.first().expect("two hundred at once are too many");
    assert_eq!((first.status, first.code()), (429, "rate-limited"));
    assert_eq!(first.headers["retry-after"], "1", "{first:?}");
    let python = Python::of("inv_16_a_device_that_asks_too_often").expect("it was there");
    let other = Signer::new(&python, stage.host.addresses().http, "default", &neighbour)?;
    let served = other.send(&[other.request("sync", &json!({}))?]).await?;
    assert_eq!(served[0].status, 200);
    Ok(())
}

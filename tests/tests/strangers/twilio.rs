//! Webhooks that Twilio did not send, or sent before (REG-2).

use anyhow::{Result, ensure};
use serde_json::Value;
use switchhook_client::registration::begin_text;
use switchhook_protocol::error::ErrorCode;
use switchhook_tests::twilio::{AUTH_TOKEN, Form, GATEWAY, PUBLIC_URL, Twilio, messages, received};

use crate::{ALICE, BOB, published};

#[tokio::test]
async fn reg_2_a_webhook_that_twilio_did_not_sign_stores_nothing() -> Result<()> {
    let test = "reg_2_a_webhook_that_twilio_did_not_sign_stores_nothing";
    let Some(mut twilio) = Twilio::start(test).await? else { return Ok(()) };
    let host = twilio.host().await?;
    let phone = host.stranger().await?;
    let before = host.stored().await?;
    let (path, form) = (messages(), received("SM1", ALICE, &begin_text(&phone.identity)));
    let url = format!("{PUBLIC_URL}{path}");
    let right = twilio.sign(&url, &form, AUTH_TOKEN).await?;

    let local = format!("http://{}{path}", host.addresses().http);
    let elsewhere = url.replace(GATEWAY, "other");
    for signature in [
        String::new(),
        "no base64".to_owned(),
        twilio.sign(&url, &form, "another account's auth token").await?,
        twilio.sign(&local, &form, AUTH_TOKEN).await?,
        twilio.sign(&elsewhere, &form, AUTH_TOKEN).await?,
        twilio.sign(&format!("{url}?a=b"), &form, AUTH_TOKEN).await?,
    ] {
        let answer = twilio.post(&host, &path, &form, &signature).await?;
        ensure!(code(&answer.1) == Some(ErrorCode::BadSignature), "{signature}: {answer:?}");
    }
    let changes = [("From", BOB), ("Body", "hello"), ("MessageSid", "SM2"), ("More", "")];
    for (name, value) in changes {
        let mut changed = form.clone();
        changed.insert(name.to_owned(), value.to_owned());
        let answer = twilio.post(&host, &path, &changed, &right).await?;
        ensure!(code(&answer.1) == Some(ErrorCode::BadSignature), "{name}: {answer:?}");
    }
    let receipt = path.replace("messages", "receipts?text=abc");
    let answer = twilio.post(&host, &receipt, &form, &right).await?;
    ensure!(code(&answer.1) == Some(ErrorCode::BadSignature), "{answer:?}");
    ensure!(host.stored().await? == before, "something is stored");
    ensure!(twilio.post(&host, &path, &form, &right).await?.0 == 200, "the right one is refused");
    Ok(())
}

#[tokio::test]
async fn reg_2_a_replayed_webhook_has_no_second_effect() -> Result<()> {
    let test = "reg_2_a_replayed_webhook_has_no_second_effect";
    let Some(mut twilio) = Twilio::start(test).await? else { return Ok(()) };
    let host = twilio.host().await?;
    let phone = host.stranger().await?;
    let (path, text) = (messages(), begin_text(&phone.identity));
    let first = received("SM1", ALICE, &text);
    let signature = twilio.sign(&format!("{PUBLIC_URL}{path}"), &first, AUTH_TOKEN).await?;
    ensure!(twilio.post(&host, &path, &first, &signature).await?.0 == 200);
    twilio.next_text().await?;
    let stored = host.stored().await?;

    ensure!(twilio.post(&host, &path, &first, &signature).await?.0 == 200, "a repeat is refused");
    let answer = twilio.report(&host, "SM1", &BOB.parse()?, &text).await?;
    ensure!(code(&answer.1) == Some(ErrorCode::Conflict), "{answer:?}");
    ensure!(host.stored().await? == stored, "a replay has stored something");
    Ok(())
}

#[tokio::test]
async fn reg_2_a_signed_webhook_that_says_nothing_is_malformed() -> Result<()> {
    let test = "reg_2_a_signed_webhook_that_says_nothing_is_malformed";
    let Some(mut twilio) = Twilio::start(test).await? else { return Ok(()) };
    let host = twilio.host().await?;
    let before = host.stored().await?;
    let without = |name: &str| {
        let mut form = received("SM1", ALICE, "SWH a b");
        form.remove(name);
        form
    };
    let missing = ["MessageSid", "From", "To", "Body"].map(without);
    let odd = [received("SM1", "client:alice", "SWH a b"), received("SM1", "70470", "SWH a b"), Form::new()];
    for form in missing.iter().chain(&odd) {
        let path = messages();
        let signature = twilio.sign(&format!("{PUBLIC_URL}{path}"), form, AUTH_TOKEN).await?;
        let answer = twilio.post(&host, &path, form, &signature).await?;
        ensure!(code(&answer.1) == Some(ErrorCode::Malformed), "{form:?}: {answer:?}");
    }
    ensure!(host.stored().await? == before, "something is stored");
    Ok(())
}

fn code(problem: &str) -> Option<ErrorCode> {
    published(&serde_json::from_str::<Value>(problem).unwrap_or_default())
}

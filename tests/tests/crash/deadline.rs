//! The process dies while a method hears that its time is over.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};
use serde_json::json;
use switchhook_client::CallError;
use switchhook_protocol::{
    id::AttemptId,
    registration::{RegisterBegin, RegistrationProgress},
};
use switchhook_tests::{phone::Phone, service::Service, waiting::in_time};

use crate::{
    deaths::{Death, at_each, death},
    stage::{PROGRAM, Stage, registrations},
};

/// Each with whether the device has to begin again.
const DEATHS: [Death<bool>; 4] = [
    death("commit.register-begin.before", true),
    // It waits, and the device does not know.
    death("commit.register-begin.after", false),
    death("commit.register-deadline.before", false),
    death("commit.register-deadline.after", false),
];

/// REG-8
#[tokio::test]
async fn reg_12_a_method_hears_of_its_deadline_and_the_device_of_that_once_wherever_the_process_dies()
-> Result<()> {
    at_each(&DEATHS, &points().await?, die_and_go_on).await
}

async fn points() -> Result<BTreeSet<String>> {
    let (mut stage, _method) = start().await?;
    let mut phone = stage.phone().await?;
    pending(begin(&phone).await?)?;
    phone.expect_notice().await?;
    let passed = stage.passed_since_enrolment().await?;
    // The device hears of it when it likes.
    Ok(passed.into_iter().filter(|point| point.starts_with("commit.register-")).collect())
}

async fn die_and_go_on(death: &Death<bool>) -> Result<()> {
    let (mut stage, _method) = start().await?;
    let mut phone = stage.phone().await?;
    stage.process.arm(death.point).await?;

    let begun = begin(&phone).await?.ok();
    stage.died().await?;
    stage.again().await?;

    registrations(&phone).await?;
    let begun = if death.left { Some(begin(&phone).await??) } else { begun };
    let told = phone.expect_notice().await?;
    ensure!(told.word == "late", "{told:?}");
    if let Some(begun) = begun {
        assert_eq!(told.attempt, pending(Ok(begun))?);
    }
    // It was told once: what it hears next is of another attempt.
    let next = pending(begin(&phone).await?)?;
    assert_eq!(phone.expect_notice().await?.attempt, next);
    Ok(())
}

/// A server whose tenant has a method that waits for a second, and then says so.
async fn start() -> Result<(Stage, Service)> {
    let stage = Stage::with(PROGRAM, "[plugins]\nallow_loopback = true\n").await?;
    let method = Service::start(|asked| {
        if asked.get("describe").is_some() {
            return json!({ "name": "own", "version": "1", "summary": "It waits.", "text_prefixes": [] });
        }
        let effects = match asked.pointer("/step/event") {
            Some(event) if event == "deadline" => json!([{ "notify": "late" }]),
            Some(_) => json!([{ "after-ms": 1_000 }]),
            None => return json!({}),
        };
        json!({ "state": "", "effects": effects, "expires_in_ms": 600_000 })
    });
    let method = method.await?;
    method.install_by(&stage.admin, "registration-method/own").await?;
    Ok((stage, method))
}

async fn begin(phone: &Phone) -> Result<Result<RegistrationProgress, CallError>> {
    let begin = RegisterBegin { method: "own".parse()?, fields: [].into() };
    in_time("the answer", phone.client.register_begin(&begin)).await
}

fn pending(begun: Result<RegistrationProgress, CallError>) -> Result<AttemptId> {
    let begun = begun?;
    let RegistrationProgress::Pending { attempt } = begun else { bail!("{begun:?}") };
    Ok(attempt)
}

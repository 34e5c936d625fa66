//! The process dies while an application registers a number that moves to another device (REG-16).

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::json;
use switchhook_protocol::{endpoint::EndpointId, event::RegisteredElsewhere};
use switchhook_tests::{application::Application, phone::Phone};

use crate::{
    deaths::{Death, at_each, death},
    stage::{PROGRAM, Stage, registrations},
};

const NUMBER: &str = "+15550100";

/// Each with whether the number has moved.
const DEATHS: [Death<bool>; 2] =
    [death("commit.register-direct.before", false), death("commit.register-direct.after", true)];

/// REG-16
#[tokio::test]
async fn reg_11_a_number_moves_and_its_former_device_is_told_once_or_neither_wherever_the_process_dies()
-> Result<()> {
    at_each(&DEATHS, &points().await?, die_and_go_on).await
}

async fn points() -> Result<BTreeSet<String>> {
    let (mut stage, application, _, latter) = held().await?;
    application.register(&latter, NUMBER).await?;
    let passed = stage.passed_since_enrolment().await?;
    // The delivery of the word is the former's affair.
    Ok(passed.into_iter().filter(|point| point.starts_with("commit.register-")).collect())
}

async fn die_and_go_on(death: &Death<bool>) -> Result<()> {
    let (mut stage, application, mut former, latter) = held().await?;
    let number: EndpointId = NUMBER.parse()?;
    stage.process.arm(death.point).await?;

    ensure!(application.ask(&latter, NUMBER).await.is_err(), "it was answered");
    stage.died().await?;
    stage.again().await?;

    let (of_former, of_latter) = (registrations(&former).await?, registrations(&latter).await?);
    let one = std::slice::from_ref(&number);
    let expected = if death.left { (&[][..], one) } else { (one, &[][..]) };
    assert_eq!((of_former.as_slice(), of_latter.as_slice()), expected);
    // Whoever had no answer asks again, on the same address.
    application.register(&latter, NUMBER).await?;
    assert_eq!(
        (registrations(&former).await?, registrations(&latter).await?),
        (vec![], vec![number.clone()])
    );
    let moved = RegisteredElsewhere { endpoint: number.clone(), kept: false };
    assert_eq!(former.expect_elsewhere().await?, moved);
    // It was told once: the next word is of the way back of another identifier.
    application.register(&former, "carol").await?;
    application.register(&latter, "carol").await?;
    let carol = RegisteredElsewhere { endpoint: "carol".parse()?, kept: false };
    assert_eq!(former.expect_elsewhere().await?, carol);
    stage.kill_and_start_again().await?;
    assert_eq!(registrations(&latter).await?, [number, "carol".parse()?]);
    Ok(())
}

/// A number on its device, which is to leave it, and another device that enrolled last.
async fn held() -> Result<(Stage, Application, Phone, Phone)> {
    let stage = Stage::start(PROGRAM).await?;
    let wanted = json!({ "again": "each-start", "proven_elsewhere": "move", "test_numbers": [] });
    let (status, body) = stage.admin.ask_tenant(Method::PUT, "registering", Some(&wanted)).await?;
    ensure!(status.is_success(), "{status} {body}");
    let former = stage.phone().await?;
    let application = Application::of(&stage.admin, stage.process.http, &former).await?;
    application.register(&former, NUMBER).await?;
    let latter = stage.phone().await?;
    Ok((stage, application, former, latter))
}

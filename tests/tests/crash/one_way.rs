//! The process dies at every commit of a registration on the transit's word alone (REG-14).

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::json;
use switchhook_server::NotTaken;
use switchhook_tests::waiting::in_time;

use crate::{
    deaths::{Death, at_each, death},
    registration::{report, report_until_answered},
    stage::{PROGRAM, Stage, registrations},
};

const NUMBER: &str = "+15550100";

/// Each with whether the number is registered, although the transit was not answered.
const DEATHS: [Death<bool>; 2] =
    [death("commit.register-text.before", false), death("commit.register-text.after", true)];

#[tokio::test]
async fn reg_14_a_number_is_registered_by_its_text_alone_wherever_the_process_dies() -> Result<()> {
    at_each(&DEATHS, &points().await?, die_and_go_on).await
}

async fn points() -> Result<BTreeSet<String>> {
    let mut stage = start().await?;
    let phone = stage.phone().await?;
    in_time("the answer", stage.transit.carrier.report(&report("one", NUMBER, &phone)?)).await??;
    stage.passed_since_enrolment().await
}

async fn die_and_go_on(death: &Death<bool>) -> Result<()> {
    let mut stage = start().await?;
    let phone = stage.phone().await?;
    let report = report("one", NUMBER, &phone)?;
    stage.process.arm(death.point).await?;

    let answered = in_time("the answer", stage.transit.carrier.report(&report)).await?;
    ensure!(matches!(answered, Err(NotTaken::Unreached(_))), "{answered:?}");
    stage.died().await?;
    stage.again().await?;

    let number = [NUMBER.parse()?];
    let before = if death.left { number.to_vec() } else { vec![] };
    assert_eq!(registrations(&phone).await?, before);
    let first = report_until_answered(&stage, &report).await?;
    assert_eq!(registrations(&phone).await?, number);
    stage.kill_and_start_again().await?;
    assert_eq!(report_until_answered(&stage, &report).await?, first, "another answer to the same report");
    assert_eq!(registrations(&phone).await?, number);
    assert_eq!(stage.transit.count(&report.from), 0, "nothing is texted back");
    Ok(())
}

/// A tenant that believes its transit.
async fn start() -> Result<Stage> {
    let stage = Stage::start(PROGRAM).await?;
    let method = "registration-method/register-sms";
    let (status, body) = stage.admin.configure(method, &json!({ "one_way": true })).await?;
    ensure!(status.is_success(), "{status} {body}");
    Ok(stage)
}

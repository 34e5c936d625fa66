//! The process dies while it notes that somebody wants no more texts (REG-2).

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use switchhook_protocol::error::ErrorCode;
use switchhook_server::{NotTaken, SANDBOX_NUMBER, TextAccepted, TextReport};
use switchhook_tests::waiting::in_time;

use crate::{
    deaths::{Death, at_each, death},
    registration::{report, report_until_answered},
    stage::{PROGRAM, Stage, registrations},
};

const NUMBER: &str = "+15550100";

const DEATHS: [Death<()>; 2] = [death("commit.text-wish.before", ()), death("commit.text-wish.after", ())];

#[tokio::test]
async fn reg_2_whoever_texts_stop_is_heeded_once_the_transit_is_answered_wherever_the_process_dies()
-> Result<()> {
    at_each(&DEATHS, &points().await?, die_and_go_on).await
}

async fn points() -> Result<BTreeSet<String>> {
    let mut stage = Stage::start(PROGRAM).await?;
    stage.phone().await?;
    in_time("the answer", stage.transit.carrier.report(&says("stop", "STOP")?)).await??;
    stage.passed_since_enrolment().await
}

async fn die_and_go_on(death: &Death<()>) -> Result<()> {
    let mut stage = Stage::start(PROGRAM).await?;
    let mut phone = stage.phone().await?;
    stage.process.arm(death.point).await?;

    let answered = in_time("the answer", stage.transit.carrier.report(&says("stop", "STOP")?)).await?;
    ensure!(matches!(answered, Err(NotTaken::Unreached(_))), "{answered:?}");
    stage.died().await?;
    stage.again().await?;

    let stopped = report_until_answered(&stage, &says("stop", "STOP")?).await?;
    ensure!(stopped == TextAccepted::Wish { opted_out: true }, "{stopped:?}");
    stage.kill_and_start_again().await?;
    registrations(&phone).await?;
    match in_time("the answer", stage.transit.carrier.report(&report("early", NUMBER, &phone)?)).await? {
        Err(NotTaken::Refused(body)) => assert_eq!(body.code, ErrorCode::OptedOut),
        other => anyhow::bail!("{other:?}"),
    }
    // The repeat of a STOP that came before it undoes no START.
    report_until_answered(&stage, &says("start", "START")?).await?;
    report_until_answered(&stage, &says("stop", "STOP")?).await?;
    phone.register(&stage.transit.carrier, &NUMBER.parse()?).await
}

fn says(id: &str, text: &str) -> Result<TextReport> {
    let (from, to) = (NUMBER.parse()?, SANDBOX_NUMBER.to_owned());
    Ok(TextReport { id: id.to_owned(), from, to, text: text.to_owned() })
}

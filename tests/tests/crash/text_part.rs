//! The process dies while it keeps a part of a long text, which an SMSC of others hands in (REG-2).

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use switchhook_client::registration::{begin_text, keep_text, validate};
use switchhook_tests::{
    smsc::{NUMBER, Smsc},
    waiting::in_time,
};

use crate::{
    deaths::{Death, at_each, death},
    stage::{PROGRAM, Stage, registrations},
};

const ALICE: &str = "+15550100";

const DEATHS: [Death<()>; 2] = [death("commit.text-part.before", ()), death("commit.text-part.after", ())];

#[tokio::test]
async fn reg_2_a_text_in_parts_is_whole_and_answered_once_wherever_the_process_dies() -> Result<()> {
    let test = "reg_2_a_text_in_parts_is_whole_and_answered_once_wherever_the_process_dies";
    let Some(passed) = points(test).await? else { return Ok(()) };
    at_each(&DEATHS, &passed, async |death| die_and_go_on(test, death).await).await
}

/// The points of the first part; what follows the last is as with any text.
async fn points(test: &str) -> Result<Option<BTreeSet<String>>> {
    let Some((mut stage, mut smsc)) = start(test).await? else { return Ok(None) };
    let phone = stage.phone().await?;
    let (first, _) = parts(&begin_text(&phone.identity));
    ensure!(smsc.deliver(&first).await? == 0, "the first part is refused");
    Ok(Some(stage.passed_since_enrolment().await?))
}

async fn die_and_go_on(test: &str, death: &Death<()>) -> Result<()> {
    let Some((mut stage, mut smsc)) = start(test).await? else { return Ok(()) };
    let mut phone = stage.phone().await?;
    let (first, second) = parts(&begin_text(&phone.identity));
    stage.process.arm(death.point).await?;

    smsc.tell(&json!({ "deliver": first })).await?;
    stage.died().await?;
    smsc.next("closed").await?;
    stage.again().await?;
    smsc.next("bound").await?;

    // It was not answered, and comes again.
    for part in [first, second] {
        ensure!(smsc.deliver(&part).await? == 0, "a part is refused");
    }
    let submitted = smsc.next("submitted").await?;
    keep_text(&mut phone.identity, submitted.get("text").and_then(Value::as_str).unwrap_or_default())
        .context("the text is no signature")?;
    registrations(&phone).await?;
    let confirmed = in_time("the confirmation", validate(&phone.client, &mut phone.identity)).await??;
    assert_eq!(confirmed, [ALICE.parse()?]);
    stage.kill_and_start_again().await?;
    assert_eq!(registrations(&phone).await?, [ALICE.parse()?]);
    Ok(())
}

/// A server that is bound to an SMSC.
async fn start(test: &str) -> Result<Option<(Stage, Smsc)>> {
    let Some(mut smsc) = Smsc::start(test).await? else { return Ok(None) };
    let stage = Stage::start(PROGRAM).await?;
    smsc.connect_to(&stage.admin).await?;
    Ok(Some((stage, smsc)))
}

fn parts(text: &str) -> (Value, Value) {
    let (first, second) = text.split_at(10);
    (part(1, first), part(2, second))
}

/// A part of a text of two, as a phone sends it.
fn part(number: u8, text: &str) -> Value {
    json!({ "source_addr_ton": 1, "source_addr": ALICE.trim_start_matches('+'), "destination_addr": NUMBER,
        "esm_class": 0x40, "data_coding": 4, "utf8": text, "udh": format!("05000307020{number}") })
}

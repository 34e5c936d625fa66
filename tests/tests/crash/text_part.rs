//! The process dies while a long text comes in parts, which an SMSC of others hands in (REG-2): at each step from the
//! first part to the last, and from the last to the text that answers it.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use switchhook_client::registration::{begin_text, keep_text, validate};
use switchhook_tests::{
    phone::Phone,
    smsc::{NUMBER, Smsc},
    waiting::in_time,
};

use crate::{
    deaths::{self, Death, at_each},
    stage::{PROGRAM, Stage, registrations},
};

const ALICE: &str = "+15550100";
const BYSTANDER: &str = "+15550101";

/// Parts of the text.
const PARTS: u8 = 3;

/// The last point that a text passes, to the step in which the method hears of its sending.
const TEXT_IS_DONE: &str = "commit.register-sent.after";

/// A point, and the part that is handed in when the process dies there.
const fn death(point: &'static str, part: u8) -> Death<u8> {
    deaths::death(point, part)
}

const DEATHS: [Death<u8>; 20] = [
    death("commit.text-part.before", 1),
    death("commit.text-part.after", 1),
    death("commit.text-part.before", 2),
    death("commit.text-part.after", 2),
    death("commit.text-part.before", PARTS),
    // All parts are there, and no method has heard of the text.
    death("commit.text-part.after", PARTS),
    death("commit.register-text.before", PARTS),
    // The text is taken and its parts are forgotten; the last of them comes again, alone.
    death("commit.register-text.after", PARTS),
    // From here on the answer is on its way, while the SMSC is told, or not.
    death("commit.text-parts-joined.before", PARTS),
    death("commit.text-parts-joined.after", PARTS),
    death("commit.claim-outbox.before", PARTS),
    death("commit.claim-outbox.after", PARTS),
    death("effect.send-text.before", PARTS),
    death("effect.send-text.after", PARTS),
    death("commit.outbox-noted.before", PARTS),
    death("commit.outbox-noted.after", PARTS),
    death("commit.register-sent.before", PARTS),
    death("commit.register-sent.after", PARTS),
    death("commit.register-validate.before", PARTS),
    death("commit.register-validate.after", PARTS),
];

#[tokio::test]
async fn reg_2_a_text_in_parts_is_whole_and_answered_once_wherever_the_process_dies() -> Result<()> {
    let test = "reg_2_a_text_in_parts_is_whole_and_answered_once_wherever_the_process_dies";
    let Some(passed) = points(test).await? else { return Ok(()) };
    at_each(&DEATHS, &passed, async |death| die_and_go_on(test, death).await).await
}

/// The points that a registration passes whose text comes in parts.
async fn points(test: &str) -> Result<Option<BTreeSet<String>>> {
    let Some((mut stage, mut smsc)) = start(test).await? else { return Ok(None) };
    let mut phone = stage.phone().await?;
    for part in parts(&phone) {
        ensure!(smsc.deliver(&part).await? == 0, "a part is refused");
    }
    keep(&mut phone, &smsc.next("submitted").await?)?;
    ensure!(stage.process.passes(TEXT_IS_DONE, 1).await?, "the process died");
    confirm(&mut phone).await?;
    Ok(Some(stage.passed_since_enrolment().await?))
}

async fn die_and_go_on(test: &str, death: &Death<u8>) -> Result<()> {
    let Some((mut stage, mut smsc)) = start(test).await? else { return Ok(()) };
    let mut phone = stage.phone().await?;
    let mut coming = parts(&phone).into_iter();
    for part in coming.by_ref().take(usize::from(death.left) - 1) {
        ensure!(smsc.deliver(&part).await? == 0, "a part is refused");
    }
    let last = coming.next().context("no part is left")?;
    stage.process.arm(death.point).await?;
    smsc.tell(&json!({ "deliver": last })).await?;
    let submitted = until_death(&mut stage, &mut smsc, &mut phone).await?;
    stage.again().await?;
    smsc.next("bound").await?;

    // What was not answered comes again, and then the rest.
    let again = if smsc.unread("answered") == 0 { vec![last] } else { vec![] };
    for part in again.into_iter().chain(coming) {
        ensure!(smsc.deliver(&part).await? == 0, "a part is refused");
    }
    let in_doubt = stage.admin.in_doubt().await?;
    if !submitted {
        if let Some(text) = in_doubt.first() {
            assert_eq!(stage.admin.resend(text).await?, StatusCode::ACCEPTED);
        }
        keep(&mut phone, &smsc.next("submitted").await?)?;
    }
    registrations(&phone).await?;
    confirm(&mut phone).await?;

    // Another's text, which comes after it, is answered next: there was no second one.
    bystander(&stage, &mut smsc).await?;
    assert_eq!(registrations(&phone).await?, [ALICE.parse()?]);
    Ok(())
}

/// Goes on with the registration until the process dies; whether the text that answers has come by then.
async fn until_death(stage: &mut Stage, smsc: &mut Smsc, phone: &mut Phone) -> Result<bool> {
    if stage.process.passes(TEXT_IS_DONE, 1).await? {
        keep(phone, &smsc.next("submitted").await?)?;
        // That point itself may be the one.
        ensure!(confirm(phone).await.is_err(), "the whole registration went well, and nothing died");
        stage.died().await?;
        smsc.next("closed").await?;
        return Ok(true);
    }
    stage.died().await?;
    // Whatever the SMSC has got, it has said before that.
    smsc.next("closed").await?;
    if smsc.unread("submitted") == 0 {
        return Ok(false);
    }
    keep(phone, &smsc.next("submitted").await?)?;
    Ok(true)
}

async fn bystander(stage: &Stage, smsc: &mut Smsc) -> Result<()> {
    let phone = stage.phone().await?;
    ensure!(smsc.text(BYSTANDER, &begin_text(&phone.identity)).await? == 0, "the bystander is refused");
    let submitted = smsc.next("submitted").await?;
    ensure!(submitted.get("to").is_some_and(|to| to == BYSTANDER.trim_start_matches('+')), "{submitted}");
    Ok(())
}

/// The phone reads the text that came.
fn keep(phone: &mut Phone, submitted: &Value) -> Result<()> {
    let text = submitted.get("text").and_then(Value::as_str).unwrap_or_default();
    match keep_text(&mut phone.identity, text) {
        Some(number) if number == ALICE.parse()? => Ok(()),
        other => bail!("the text is no signature of Alice's: {other:?}, {submitted}"),
    }
}

async fn confirm(phone: &mut Phone) -> Result<()> {
    let confirmed = in_time("the confirmation", validate(&phone.client, &mut phone.identity)).await??;
    ensure!(confirmed == [ALICE.parse()?], "{confirmed:?}");
    Ok(())
}

/// A server that is bound to an SMSC.
async fn start(test: &str) -> Result<Option<(Stage, Smsc)>> {
    let Some(mut smsc) = Smsc::start(test).await? else { return Ok(None) };
    let stage = Stage::start(PROGRAM).await?;
    smsc.connect_to(&stage.admin).await?;
    Ok(Some((stage, smsc)))
}

/// What a phone texts, in parts as it sends them.
fn parts(phone: &Phone) -> Vec<Value> {
    let text = begin_text(&phone.identity);
    let (first, rest) = text.split_at(10);
    let (second, third) = rest.split_at(10);
    let part = |(number, text): (u8, &str)| {
        json!({ "source_addr_ton": 1, "source_addr": ALICE.trim_start_matches('+'), "destination_addr": NUMBER,
            "esm_class": 0x40, "data_coding": 4, "utf8": text, "udh": format!("05000307{PARTS:02}{number:02}") })
    };
    [(1, first), (2, second), (PARTS, third)].map(part).into()
}

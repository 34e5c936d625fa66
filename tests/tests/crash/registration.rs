//! The process dies at every commit and every outside effect of an SMS registration, one after the other.
//!
//! The points come from a run that records them ([`points`]); [`DEATHS`] says of each what the process
//! leaves behind that dies there. A point that is missing in the table, or that no registration passes,
//! fails the test. In each run somebody else's number is registered and confirmed before the process
//! dies, and everything goes through the same database.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail, ensure};
use switchhook_client::registration::{begin_text, keep_text, validate};
use switchhook_protocol::endpoint::EndpointId;
use switchhook_server::{NotTaken, SANDBOX_NUMBER, TextAccepted, TextReport};
use switchhook_tests::{
    phone::Phone,
    waiting::{in_time, until},
};

use crate::{
    deaths::{Death, at_each},
    stage::{PROGRAM, Stage, registrations},
    texts::{self, ALICE, BYSTANDER, TEXT_IS_DONE, Texted, death},
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// By the text that comes: nothing is in doubt.
    ByItself,
    /// A text is in doubt, and an administrator has it sent again.
    Resent,
    /// A text is in doubt, and the device texts again.
    TextedAgain,
    /// A text is in doubt, and has arrived all the same.
    Arrived,
}

const DEATHS: [Death<Texted<Then>>; 12] = [
    // The transit was not answered; its repeat begins the registration.
    death("commit.register-text.before", 1, Then::ByItself),
    // The text is queued, and the next process sends it.
    death("commit.register-text.after", 1, Then::ByItself),
    death("commit.claim-outbox.before", 1, Then::ByItself),
    // From the claim to the commit with which the method hears what became of it, its sending is in doubt.
    death("commit.claim-outbox.after", 0, Then::Resent),
    death("effect.send-text.before", 0, Then::TextedAgain),
    death("effect.send-text.after", 1, Then::Resent),
    death("commit.outbox-noted.before", 1, Then::Arrived),
    death("commit.outbox-noted.after", 1, Then::Arrived),
    death("commit.register-sent.before", 1, Then::Arrived),
    death("commit.register-sent.after", 1, Then::ByItself),
    death("commit.register-validate.before", 1, Then::ByItself),
    // Registered and not confirmed; the device asks again.
    death("commit.register-validate.after", 1, Then::ByItself),
];

/// REG-2, REG-3
#[tokio::test]
async fn reg_4_nothing_confirmed_is_lost_wherever_the_process_dies() -> Result<()> {
    at_each(&DEATHS, &points().await?, die_and_go_on).await
}

/// The points that a registration passes, from the transit's report to the confirmation.
async fn points() -> Result<BTreeSet<String>> {
    let mut stage = Stage::start(PROGRAM).await?;
    let mut phone = stage.phone().await?;
    register_and_settle(&stage, &mut phone, BYSTANDER).await?;
    stage.passed_since_enrolment().await
}

/// Registers a number; when this returns, the process passes no more points on account of it.
async fn register_and_settle(stage: &Stage, phone: &mut Phone, number: &str) -> Result<()> {
    let report = report("bystander", number, phone)?;
    in_time("the answer", stage.transit.carrier.report(&report)).await??;
    ensure!(stage.process.passes(TEXT_IS_DONE, 1).await?, "the process died");
    keep_last_text(stage, phone, &report.from)?;
    validate_and_check(phone, &report.from).await
}

async fn die_and_go_on(death: &Death<Texted<Then>>) -> Result<()> {
    let mut stage = Stage::start(PROGRAM).await?;
    let (mut bystander, mut alice) = (stage.phone().await?, stage.phone().await?);
    register_and_settle(&stage, &mut bystander, BYSTANDER).await?;
    let report = report("alice", ALICE, &alice)?;

    stage.process.arm(death.point).await?;
    let answered = register_until_death(&mut stage, &mut alice, &report).await?;
    stage.again().await?;

    // What was confirmed is there: to the bystander, and to the transit.
    let others: EndpointId = BYSTANDER.parse()?;
    assert_eq!(registrations(&bystander).await?, std::slice::from_ref(&others));
    let repeated = report_until_answered(&stage, &report).await?;
    assert!(answered.is_none_or(|answered| answered == repeated), "another answer to the same report");
    let (Texted { texts, then }, number) = (&death.left, BYSTANDER.parse()?);
    let another = async || bystander.register(&stage.transit.carrier, &number).await.map(drop);
    texts::check(&stage, *texts, *then != Then::ByItself, another).await?;

    go_on(&stage, &alice, death).await?;

    keep_last_text(&stage, &mut alice, &report.from)?;
    validate_and_check(&mut alice, &report.from).await?;
    stage.kill_and_start_again().await?;
    assert_eq!(registrations(&alice).await?, [report.from]);
    assert_eq!(registrations(&bystander).await?, [others]);
    Ok(())
}

/// Goes on with the registration until the process dies; what the transit was answered, if it was.
async fn register_until_death(
    stage: &mut Stage,
    phone: &mut Phone,
    report: &TextReport,
) -> Result<Option<TextAccepted>> {
    let answered = match in_time("the answer", stage.transit.carrier.report(report)).await? {
        Ok(accepted) => Some(accepted),
        Err(NotTaken::Unreached(_)) => None,
        Err(refused @ NotTaken::Refused(_)) => return Err(refused.into()),
    };
    // The bystander's was the first.
    if stage.process.passes(TEXT_IS_DONE, 2).await? {
        // That point itself may be the one.
        keep_last_text(stage, phone, &report.from)?;
        let validated = in_time("the end", validate(&phone.client, &mut phone.identity)).await?;
        ensure!(validated.is_err(), "the whole registration went well, and nothing died");
    }
    stage.died().await?;
    Ok(answered)
}

/// The transit repeats its report until it has an answer.
pub(crate) async fn report_until_answered(stage: &Stage, report: &TextReport) -> Result<TextAccepted> {
    until("the answer", async || match stage.transit.carrier.report(report).await {
        Ok(accepted) => Ok(Some(accepted)),
        Err(NotTaken::Unreached(_)) => Ok(None),
        Err(refused @ NotTaken::Refused(_)) => Err(refused.into()),
    })
    .await
}

/// Brings a text that is good to the phone.
async fn go_on(stage: &Stage, phone: &Phone, death: &Death<Texted<Then>>) -> Result<()> {
    let number: EndpointId = ALICE.parse()?;
    match death.left.then {
        Then::ByItself | Then::Arrived => return Ok(()),
        Then::Resent => texts::resend(stage).await?,
        Then::TextedAgain => {
            let again = report("alice-again", ALICE, phone)?;
            in_time("the answer", stage.transit.carrier.report(&again)).await??;
        }
    }
    in_time("the SMS", stage.transit.carrier.next_text(&number, death.left.texts)).await?;
    Ok(())
}

fn keep_last_text(stage: &Stage, phone: &mut Phone, number: &EndpointId) -> Result<()> {
    let text = stage.transit.carrier.texts(number).pop().context("no SMS")?;
    keep_text(&mut phone.identity, &text).context("the SMS is no signature")?;
    Ok(())
}

/// Validates what the SMS told; the connection may have been lost just now.
async fn validate_and_check(phone: &mut Phone, number: &EndpointId) -> Result<()> {
    // Both are registered by whoever had asked before; then only the host can say it.
    registrations(phone).await?;
    let confirmed = in_time("the confirmation", validate(&phone.client, &mut phone.identity)).await??;
    if confirmed != [number.clone()] {
        bail!("confirmed: {confirmed:?}");
    }
    assert_eq!(registrations(phone).await?, std::slice::from_ref(number));
    Ok(())
}

/// What a transit reports of a phone that registers.
pub(crate) fn report(id: &str, from: &str, phone: &Phone) -> Result<TextReport> {
    let text = begin_text(&phone.identity);
    Ok(TextReport { id: id.to_owned(), from: from.parse()?, to: SANDBOX_NUMBER.to_owned(), text })
}

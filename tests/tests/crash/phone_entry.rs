//! The process dies at every commit and every outside effect of a registration by a typed number, one after the other.
//!
//! As with texts of devices ([`crate::registration`]), the points come from a run that records them, and [`DEATHS`] says
//! of each what the process leaves behind.

use std::collections::BTreeSet;

use anyhow::{Result, bail, ensure};
use switchhook_client::CallError;
use switchhook_protocol::{
    endpoint::EndpointId,
    id::AttemptId,
    registration::{RegisterBegin, RegisterCode, RegistrationProgress},
};
use switchhook_tests::{phone::Phone, waiting::in_time};

use crate::{
    deaths::{Death, at_each},
    stage::{PROGRAM, Stage, registrations},
    texts::{self, ALICE, BYSTANDER, TEXT_IS_DONE, Texted, death},
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// With the code that comes, or a new one if the device does not know of its attempt.
    ByItself,
    /// A text is in doubt, and an administrator has it sent again.
    Resent,
    /// A text is in doubt, and has arrived all the same.
    Arrived,
    /// The code counted, and the device was not told.
    Registered,
}

const DEATHS: [Death<Texted<Then>>; 16] = [
    death("commit.register-begin.before", 0, Then::ByItself),
    death("commit.register-begin.after", 1, Then::ByItself),
    death("commit.claim-outbox.before", 1, Then::ByItself),
    death("commit.claim-outbox.after", 0, Then::Resent),
    death("effect.send-text.before", 0, Then::Resent),
    death("effect.send-text.after", 1, Then::Arrived),
    death("commit.outbox-noted.before", 1, Then::Arrived),
    death("commit.outbox-noted.after", 1, Then::Arrived),
    death("commit.register-sent.before", 1, Then::Arrived),
    death("commit.register-sent.after", 1, Then::ByItself),
    // A wrong code was counted, or not, and nobody has heard it.
    death("commit.register-code-try.before", 1, Then::ByItself),
    death("commit.register-code-try.after", 1, Then::ByItself),
    death("commit.register-code-failed.before", 1, Then::ByItself),
    death("commit.register-code-failed.after", 1, Then::ByItself),
    death("commit.register-code.before", 1, Then::ByItself),
    death("commit.register-code.after", 1, Then::Registered),
];

#[tokio::test]
async fn reg_5_a_typed_number_is_texted_once_and_registered_wherever_the_process_dies() -> Result<()> {
    at_each(&DEATHS, &points().await?, die_and_go_on).await
}

/// The points that a registration passes, from the request to its end, with a wrong code on the way.
async fn points() -> Result<BTreeSet<String>> {
    let mut stage = Stage::start(PROGRAM).await?;
    let phone = stage.phone().await?;
    let attempt = in_time("the answer", begin(&phone, BYSTANDER)).await??;
    ensure!(stage.process.passes(TEXT_IS_DONE, 1).await?, "the process died");
    enter_both(&stage, &phone, &attempt, BYSTANDER).await?;
    stage.passed_since_enrolment().await
}

async fn die_and_go_on(death: &Death<Texted<Then>>) -> Result<()> {
    let mut stage = Stage::start(PROGRAM).await?;
    let (bystander, alice) = (stage.phone().await?, stage.phone().await?);
    let number: EndpointId = ALICE.parse()?;
    register(&stage, &bystander, BYSTANDER).await?;

    stage.process.arm(death.point).await?;
    let attempt = register_until_death(&mut stage, &alice).await?;
    stage.again().await?;

    let others = [BYSTANDER.parse()?];
    assert_eq!(registrations(&bystander).await?, others);
    let Texted { texts, then } = death.left;
    let in_doubt = matches!(then, Then::Resent | Then::Arrived);
    texts::check(&stage, texts, in_doubt, async || register(&stage, &bystander, BYSTANDER).await).await?;
    if then == Then::Resent {
        texts::resend(&stage).await?;
        in_time("the code", stage.transit.carrier.next_text(&number, 0)).await?;
    }
    registrations(&alice).await?;
    match &attempt {
        Some(attempt) if then == Then::Registered => {
            // The code is used, and what it proved is there.
            let again = enter(&stage, &alice, attempt, ALICE, false).await;
            ensure!(matches!(again, Err(CallError::Refused(_))), "{again:?}");
        }
        Some(attempt) => confirmed(&enter(&stage, &alice, attempt, ALICE, false).await?)?,
        None => register(&stage, &alice, ALICE).await?,
    }
    stage.kill_and_start_again().await?;
    assert_eq!(registrations(&alice).await?, [number]);
    assert_eq!(registrations(&bystander).await?, others);
    Ok(())
}

/// Goes on with the registration until the process dies; the attempt, if the device was told of it.
async fn register_until_death(stage: &mut Stage, phone: &Phone) -> Result<Option<AttemptId>> {
    let attempt = in_time("the end", begin(phone, ALICE)).await?.ok();
    // The bystander's was the first.
    if stage.process.passes(TEXT_IS_DONE, 2).await?
        && let Some(attempt) = &attempt
    {
        // That point itself may be the one.
        let entered = enter_both(stage, phone, attempt, ALICE).await;
        ensure!(entered.is_err(), "the whole registration went well, and nothing died");
    }
    stage.died().await?;
    Ok(attempt)
}

/// Registers a number; when this returns, the process passes no more points on account of it.
async fn register(stage: &Stage, phone: &Phone, number: &str) -> Result<()> {
    let endpoint: EndpointId = number.parse()?;
    let before = stage.transit.count(&endpoint);
    let done = stage.process.passed().iter().filter(|point| *point == TEXT_IS_DONE).count();
    let attempt = in_time("the answer", begin(phone, number)).await??;
    in_time("the code", stage.transit.carrier.next_text(&endpoint, before)).await?;
    ensure!(stage.process.passes(TEXT_IS_DONE, done + 1).await?, "the process died");
    confirmed(&enter(stage, phone, &attempt, number, false).await?)
}

async fn begin(phone: &Phone, number: &str) -> Result<AttemptId> {
    let fields = [("number".to_owned(), number.to_owned())].into();
    let begin = RegisterBegin { method: "register-phone-entry".parse()?, fields };
    let progress = phone.client.register_begin(&begin).await?;
    let RegistrationProgress::CodeSent { attempt, .. } = progress else { bail!("{progress:?}") };
    Ok(attempt)
}

/// A wrong code, and then the right one.
async fn enter_both(stage: &Stage, phone: &Phone, attempt: &AttemptId, number: &str) -> Result<()> {
    let wrong = enter(stage, phone, attempt, number, true).await;
    ensure!(matches!(wrong, Err(CallError::Refused(_))), "{wrong:?}");
    confirmed(&enter(stage, phone, attempt, number, false).await?)
}

/// The code of the last text, or another one.
async fn enter(
    stage: &Stage,
    phone: &Phone,
    attempt: &AttemptId,
    number: &str,
    wrong: bool,
) -> Result<RegistrationProgress, CallError> {
    let text = number.parse().ok().and_then(|number| stage.transit.carrier.texts(&number).pop());
    let text = text.unwrap_or_default();
    let code = text.split(' ').next().unwrap_or_default().to_owned();
    let other = if code.starts_with('0') { '1' } else { '0' };
    let code =
        if wrong { code.chars().take(1).map(|_| other).chain(code.chars().skip(1)).collect() } else { code };
    phone.client.register_code(&RegisterCode { attempt: attempt.clone(), code }).await
}

fn confirmed(progress: &RegistrationProgress) -> Result<()> {
    ensure!(matches!(progress, RegistrationProgress::Registered { .. }), "{progress:?}");
    Ok(())
}

//! The process dies at every commit and every outside effect of a registration by `register-email`, one after the
//! other: sign-in, mail, link, the word to the profile's devices, the user's yes, registration.
//!
//! As with texts ([`crate::registration`]), the points come from a run that records them, and [`DEATHS`] says of each
//! what the process leaves behind. A second device of the same profile has asked before; whatever happens, it hears
//! once that the address is validated, and a third one, which has not asked, never.

mod cast;
mod way;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use switchhook_tests::{
    profile::{sign_in, validate},
    waiting::in_time,
};

use self::{cast::Cast, way::Way};
use crate::{
    deaths::{self, Death, at_each},
    stage::{mails_in_doubt, registrations},
};

const BOB: &str = "bob@example.org";
const WORK: &str = "bob@work.example";

struct Left {
    /// The process dies where it comes to the point for the first time after this step has begun.
    step: Step,
    then: Then,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    SignIn,
    Validate,
    Register,
}

/// How the registration goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The device asks again for what it was not answered.
    AskedAgain,
    /// The mail comes by itself.
    Mailed,
    /// A mail is in doubt, and an administrator has it sent again.
    Resent,
    /// A mail is in doubt, and has arrived all the same.
    Arrived,
    /// The link was confirmed, and whoever posted it was not told.
    Confirmed,
    /// The user's yes counted, and the device was not told.
    Answered,
    /// The word was on its way to the devices, or had been heard; what came after that may have counted or not.
    Told,
}

const DEATHS: [Death<Left>; 22] = [
    death(Step::SignIn, "commit.register-begin.before", Then::AskedAgain),
    death(Step::SignIn, "commit.register-begin.after", Then::AskedAgain),
    death(Step::SignIn, "commit.register-checked.before", Then::AskedAgain),
    death(Step::SignIn, "commit.register-checked.after", Then::AskedAgain),
    death(Step::Validate, "commit.register-begin.before", Then::AskedAgain),
    death(Step::Validate, "commit.register-begin.after", Then::Mailed),
    death(Step::Validate, "commit.claim-outbox.before", Then::Mailed),
    death(Step::Validate, "commit.claim-outbox.after", Then::Resent),
    death(Step::Validate, "effect.send-mail.before", Then::Resent),
    death(Step::Validate, "effect.send-mail.after", Then::Arrived),
    death(Step::Validate, "commit.register-sent.before", Then::Arrived),
    death(Step::Validate, "commit.register-sent.after", Then::Mailed),
    death(Step::Validate, "commit.register-link.before", Then::Mailed),
    death(Step::Validate, "commit.register-link.after", Then::Confirmed),
    death(Step::Validate, "commit.mark-delivered.before", Then::Told),
    death(Step::Validate, "commit.mark-delivered.after", Then::Told),
    death(Step::Validate, "commit.acknowledge.before", Then::Told),
    death(Step::Validate, "commit.acknowledge.after", Then::Told),
    death(Step::Validate, "commit.register-answer.before", Then::AskedAgain),
    death(Step::Validate, "commit.register-answer.after", Then::Answered),
    death(Step::Register, "commit.register-begin.before", Then::AskedAgain),
    death(Step::Register, "commit.register-begin.after", Then::AskedAgain),
];

/// REG-6, REG-7, REG-9
#[tokio::test]
async fn reg_8_an_address_is_mailed_once_and_each_device_told_once_wherever_the_process_dies() -> Result<()> {
    let test = "reg_8_an_address_is_mailed_once_and_each_device_told_once_wherever_the_process_dies";
    let Some(passed) = Box::pin(points(test)).await? else { return Ok(()) };
    at_each(&DEATHS, &passed, async |death| Box::pin(die_and_go_on(test, death)).await).await
}

const fn death(step: Step, point: &'static str, then: Then) -> Death<Left> {
    deaths::death(point, Left { step, then })
}

/// The points that a registration passes, from the sign-in to the end.
async fn points(test: &str) -> Result<Option<BTreeSet<String>>> {
    let Some(mut cast) = Cast::start(test).await? else { return Ok(None) };
    Way::default().go(&mut cast, None).await?;
    // The tablet's own word comes in its own time.
    cast.tablet.expect_notice().await?;
    for point in ["commit.mark-delivered.after", "commit.acknowledge.after"] {
        ensure!(cast.stage.process.passes(point, 1).await?, "the process died");
    }
    Ok(Some(cast.stage.passed_since_enrolment().await?))
}

async fn die_and_go_on(test: &str, death: &Death<Left>) -> Result<()> {
    let Some(mut cast) = Cast::start(test).await? else { return Ok(()) };
    let mut way = Way::default();
    let died = in_time("the end", way.go(&mut cast, Some(death))).await?;
    // What devices have heard is noted beside whatever else they do.
    ensure!(
        died.is_err() || death.left.then == Then::Told,
        "the whole registration went well, and nothing died"
    );
    cast.stage.died().await?;
    cast.stage.again().await?;
    registrations(&cast.phone).await?;

    let in_doubt = usize::from(matches!(death.left.then, Then::Resent | Then::Arrived));
    assert_eq!(mails_in_doubt(&cast.stage).await?.len(), in_doubt);
    way.after(&cast, death).await?;
    in_time("the registration", way.go(&mut cast, None)).await??;

    // Another mail, queued after it, comes next: there was no second one.
    let of_tablet = sign_in(&cast.tablet, "bob").await?;
    validate(&cast.tablet, &of_tablet, &[WORK]).await?;
    ensure!(cast.smtp.next_mail().await?.to == [WORK]);
    cast.stage.kill_and_start_again().await?;
    assert_eq!(registrations(&cast.phone).await?, [BOB.parse()?]);
    assert_eq!(registrations(&cast.tablet).await?, []);
    assert_eq!(cast.told().await?, [0, 1, 0], "of phone, tablet and watch");
    Ok(())
}

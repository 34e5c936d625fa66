//! The process dies at every commit of an e-mail registration whose addresses the directory knows.
//!
//! Nothing goes out, so that nothing is in doubt: what was confirmed is kept, and what was not is asked for again.

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use switchhook_protocol::{endpoint::EndpointId, registration::Credentials};
use switchhook_tests::{
    phone::Phone,
    profile::{PASSWORD, email, user},
    waiting::in_time,
};

use crate::stage::{PROGRAM, Stage, registrations};

const BOB: &str = "bob@example.org";

/// Runs at once; each is a process that mostly waits.
const AT_ONCE: usize = 4;

const POINTS: [&str; 6] = [
    "commit.register-begin.before",
    "commit.register-begin.after",
    // The password is right, and nobody has heard it.
    "commit.register-checked.before",
    "commit.register-checked.after",
    "commit.register-answer.before",
    "commit.register-answer.after",
];

/// REG-6
#[tokio::test]
async fn reg_9_an_e_mail_registration_goes_on_wherever_the_process_dies() -> Result<()> {
    stream::iter(POINTS)
        .map(|point| async move { die_and_go_on(point).await.context(point) })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

async fn die_and_go_on(point: &'static str) -> Result<()> {
    let mut stage = Stage::start(PROGRAM).await?;
    user(&stage.admin, "bob", &[BOB]).await?;
    let (before, phone) = (stage.phone().await?, stage.phone().await?);
    let confirmed = in_time("the registration", register(&before)).await??;

    stage.process.arm(point).await?;
    let died = in_time("the end", register(&phone)).await?;
    ensure!(died.is_err(), "the whole registration went well, and nothing died");
    stage.died().await?;
    stage.again().await?;

    let own: EndpointId = BOB.parse()?;
    assert_eq!(registrations(&before).await?, std::slice::from_ref(&own));
    email(&before)?.register_again(&confirmed).await?;
    registrations(&phone).await?;
    in_time("the registration", register(&phone)).await??;
    stage.kill_and_start_again().await?;
    assert_eq!(registrations(&phone).await?, [own]);
    Ok(())
}

/// All of it, as far as it goes; login credentials.
async fn register(phone: &Phone) -> Result<Credentials> {
    let own: EndpointId = BOB.parse()?;
    let email = email(phone)?;
    let profile = email.sign_in("bob", PASSWORD).await?;
    let validation = email.validate(&profile, std::slice::from_ref(&own)).await?;
    let address = email.answer(&validation.attempt, &own, true).await?.context("no credentials")?;
    Ok(email.register(&profile, &address).await?)
}

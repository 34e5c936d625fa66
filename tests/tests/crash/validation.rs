//! The process dies at every commit and every outside effect of a validation for an application (REG-18).

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use switchhook_tests::{application::Application, smtp::Smtp};

use crate::{
    deaths::{Death, at_each, death},
    stage::{PROGRAM, Stage, mails_in_doubt, post_link, resend_mail},
};

const BOB: &str = "bob@example.com";
const ANNE: &str = "anne@example.com";

/// The last point that a mail passes that no method waits for.
const MAIL_IS_DONE: &str = "commit.outbox-sent.after";

/// How the validation goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// By the mail that comes.
    ByItself,
    /// A mail is in doubt, and an administrator has it sent again.
    Resent,
    /// A mail is in doubt, and has arrived all the same.
    Arrived,
    /// The link counted, and whoever posted it was not told.
    Validated,
}

const DEATHS: [Death<Then>; 10] = [
    // Nothing is stored, and the application asks again, as it does in any case.
    death("commit.validation-begin.before", Then::ByItself),
    death("commit.validation-begin.after", Then::ByItself),
    death("commit.claim-outbox.before", Then::ByItself),
    death("commit.claim-outbox.after", Then::Resent),
    death("effect.send-mail.before", Then::Resent),
    death("effect.send-mail.after", Then::Arrived),
    death("commit.outbox-sent.before", Then::Arrived),
    death("commit.outbox-sent.after", Then::ByItself),
    death("commit.validation-end.before", Then::ByItself),
    death("commit.validation-end.after", Then::Validated),
];

#[tokio::test]
async fn reg_18_an_address_is_mailed_once_and_validated_wherever_the_process_dies() -> Result<()> {
    let test = "reg_18_an_address_is_mailed_once_and_validated_wherever_the_process_dies";
    let Some(passed) = points(test).await? else { return Ok(()) };
    at_each(&DEATHS, &passed, async |death| die_and_go_on(test, death).await).await
}

async fn points(test: &str) -> Result<Option<BTreeSet<String>>> {
    let Some((mut stage, mut smtp, application)) = start(test).await? else { return Ok(None) };
    application.validate("bobs", BOB).await?;
    let token = smtp.next_mail().await?.token()?;
    ensure!(stage.process.passes(MAIL_IS_DONE, 1).await?, "the process died");
    ensure!(post_link(&stage, &token).await? == StatusCode::OK);
    let mut passed = stage.passed_since_enrolment().await?;
    // The application's token is made before.
    passed.retain(|point| !point.starts_with("commit.token-create."));
    Ok(Some(passed))
}

async fn die_and_go_on(test: &str, death: &Death<Then>) -> Result<()> {
    let Some((mut stage, mut smtp, application)) = start(test).await? else { return Ok(()) };
    stage.process.arm(death.point).await?;
    let token = validate_until_death(&mut stage, &mut smtp, &application).await?;
    stage.again().await?;

    let in_doubt = mails_in_doubt(&stage).await?;
    assert_eq!(in_doubt.len(), usize::from(matches!(death.left, Then::Resent | Then::Arrived)));
    application.validate("bobs", BOB).await?;
    if death.left == Then::Resent {
        resend_mail(&stage, in_doubt.first().context("nothing is in doubt")?).await?;
    }
    let token = match token {
        Some(token) => token,
        None => smtp.next_mail().await?.token()?,
    };
    let expected = if death.left == Then::Validated { StatusCode::GONE } else { StatusCode::OK };
    ensure!(post_link(&stage, &token).await? == expected);

    // Another mail, queued after it, comes next: there was no second one.
    application.validate("annes", ANNE).await?;
    ensure!(smtp.next_mail().await?.to == [ANNE]);
    stage.kill_and_start_again().await?;
    assert_eq!(application.validation("bobs").await?, json!("validated"));
    assert_eq!(application.validation("annes").await?, json!("waiting"));
    Ok(())
}

/// Goes on with the validation until the process dies; the token, if its mail has come by then.
async fn validate_until_death(
    stage: &mut Stage,
    smtp: &mut Smtp,
    application: &Application,
) -> Result<Option<String>> {
    let mut token = None;
    // The answer may be lost with the process.
    drop(application.validate("bobs", BOB).await);
    if stage.process.passes(MAIL_IS_DONE, 1).await? {
        let mailed = smtp.next_mail().await?.token()?;
        // That point itself may be the one.
        ensure!(post_link(stage, &mailed).await.is_err(), "the whole validation went well, and nothing died");
        token = Some(mailed);
    }
    stage.died().await?;
    Ok(token)
}

/// A server that mails in words which need no address of the web, and an application of its tenant's.
async fn start(test: &str) -> Result<Option<(Stage, Smtp, Application)>> {
    let Some(smtp) = Smtp::start(test).await? else { return Ok(None) };
    let stage = Stage::start(PROGRAM).await?;
    let words = |settings: &mut Value| {
        if let Some(settings) = settings.as_object_mut() {
            settings.insert("template".to_owned(), json!({ "subject": "Hello", "text": "{token}" }));
        }
    };
    smtp.connect_with(&stage.admin, words).await?;
    let phone = stage.phone().await?;
    let application = Application::of(&stage.admin, stage.process.http, &phone).await?;
    Ok(Some((stage, smtp, application)))
}

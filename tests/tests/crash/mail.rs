//! The process dies at every commit and every outside effect of a registration by mail, one after the other.
//!
//! As with texts ([`crate::registration`]), the points come from a run that records them, and [`DEATHS`] says of each
//! what the process leaves behind.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use reqwest::StatusCode;
use serde_json::{Value, json};
use switchhook_built_guests as guests;
use switchhook_protocol::registration::RegisterBegin;
use switchhook_tests::{phone::Phone, smtp::Smtp, waiting::in_time};

use crate::{
    deaths::{Death, at_each, death},
    stage::{PROGRAM, Stage, mails_in_doubt, post_link, registrations, resend_mail},
};

const BOB: &str = "bob@example.com";
const BYSTANDER: &str = "anne@example.com";

/// The last point that a mail passes, from the request to the step in which the method hears of its sending.
const MAIL_IS_DONE: &str = "commit.register-sent.after";

/// How the registration goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The request was not answered, and nothing of it is stored: the device begins anew.
    BegunAgain,
    /// By the mail that comes.
    ByItself,
    /// A mail is in doubt, and an administrator has it sent again.
    Resent,
    /// A mail is in doubt, and has arrived all the same.
    Arrived,
    /// The link was confirmed, and whoever posted it was not told.
    Confirmed,
}

const DEATHS: [Death<Then>; 10] = [
    death("commit.register-begin.before", Then::BegunAgain),
    death("commit.register-begin.after", Then::ByItself),
    death("commit.claim-outbox.before", Then::ByItself),
    death("commit.claim-outbox.after", Then::Resent),
    death("effect.send-mail.before", Then::Resent),
    death("effect.send-mail.after", Then::Arrived),
    death("commit.register-sent.before", Then::Arrived),
    death("commit.register-sent.after", Then::ByItself),
    death("commit.register-link.before", Then::ByItself),
    death("commit.register-link.after", Then::Confirmed),
];

/// REG-7
#[tokio::test]
async fn reg_8_no_address_is_lost_and_none_is_mailed_twice_wherever_the_process_dies() -> Result<()> {
    let test = "reg_8_no_address_is_lost_and_none_is_mailed_twice_wherever_the_process_dies";
    let Some(passed) = points(test).await? else { return Ok(()) };
    at_each(&DEATHS, &passed, async |death| die_and_go_on(test, death).await).await
}

/// The points that a registration passes, from the request to the confirmation.
async fn points(test: &str) -> Result<Option<BTreeSet<String>>> {
    let Some((mut stage, mut smtp)) = start(test).await? else { return Ok(None) };
    let phone = stage.phone().await?;
    register(&stage, &mut smtp, &phone, BYSTANDER).await?;
    Ok(Some(stage.passed_since_enrolment().await?))
}

async fn die_and_go_on(test: &str, death: &Death<Then>) -> Result<()> {
    let Some((mut stage, mut smtp)) = start(test).await? else { return Ok(()) };
    let (bystander, bob) = (stage.phone().await?, stage.phone().await?);
    register(&stage, &mut smtp, &bystander, BYSTANDER).await?;

    stage.process.arm(death.point).await?;
    let token = register_until_death(&mut stage, &mut smtp, &bob).await?;
    stage.again().await?;

    let theirs = [BYSTANDER.parse()?];
    assert_eq!(registrations(&bystander).await?, theirs);
    let in_doubt = mails_in_doubt(&stage).await?;
    assert_eq!(in_doubt.len(), usize::from(matches!(death.left, Then::Resent | Then::Arrived)));
    let token = match death.left {
        Then::BegunAgain => {
            registrations(&bob).await?;
            begin(&bob, BOB).await?;
            smtp.next_mail().await?.token()?
        }
        Then::Resent => {
            resend_mail(&stage, in_doubt.first().context("nothing is in doubt")?).await?;
            smtp.next_mail().await?.token()?
        }
        Then::ByItself | Then::Arrived | Then::Confirmed => match token {
            Some(token) => token,
            None => smtp.next_mail().await?.token()?,
        },
    };
    let expected = if death.left == Then::Confirmed { StatusCode::GONE } else { StatusCode::OK };
    ensure!(post_link(&stage, &token).await? == expected);

    // Another mail, queued after it, comes next: there was no second one.
    begin(&bystander, BYSTANDER).await?;
    ensure!(smtp.next_mail().await?.to == [BYSTANDER]);
    stage.kill_and_start_again().await?;
    assert_eq!(registrations(&bob).await?, [BOB.parse()?]);
    assert_eq!(registrations(&bystander).await?, theirs);
    Ok(())
}

/// Goes on with the registration until the process dies; the token, if its mail has come by then.
async fn register_until_death(stage: &mut Stage, smtp: &mut Smtp, phone: &Phone) -> Result<Option<String>> {
    let mut token = None;
    // The answer may be lost with the process.
    drop(begin(phone, BOB).await);
    // The bystander's was the first.
    if stage.process.passes(MAIL_IS_DONE, 2).await? {
        let mailed = smtp.next_mail().await?.token()?;
        // That point itself may be the one.
        ensure!(
            post_link(stage, &mailed).await.is_err(),
            "the whole registration went well, and nothing died"
        );
        token = Some(mailed);
    }
    stage.died().await?;
    Ok(token)
}

/// A server whose tenant registers by mail, in words that need no address of the web.
pub(crate) async fn start(test: &str) -> Result<Option<(Stage, Smtp)>> {
    let Some(smtp) = Smtp::start(test).await? else { return Ok(None) };
    let stage = Stage::start(PROGRAM).await?;
    let method = "registration-method/mails";
    let (status, uploaded) = stage.admin.upload(method, guests::MAILS.to_vec()).await?;
    ensure!(status.is_success(), "{status} {uploaded}");
    let version = uploaded.get("version").cloned().unwrap_or(Value::Null);
    stage.admin.changed(method, "activate", &json!({ "version": version, "configuration": {} })).await?;
    let words = |settings: &mut Value| {
        if let Some(settings) = settings.as_object_mut() {
            settings.insert("template".to_owned(), json!({ "subject": "Hello", "text": "{token}" }));
        }
    };
    smtp.connect_with(&stage.admin, words).await?;
    Ok(Some((stage, smtp)))
}

/// Registers an address; when this returns, the process passes no more points on account of it.
async fn register(stage: &Stage, smtp: &mut Smtp, phone: &Phone, address: &str) -> Result<()> {
    begin(phone, address).await?;
    let token = smtp.next_mail().await?.token()?;
    ensure!(stage.process.passes(MAIL_IS_DONE, 1).await?, "the process died");
    ensure!(post_link(stage, &token).await? == StatusCode::OK);
    assert_eq!(registrations(phone).await?, [address.parse()?]);
    Ok(())
}

pub(crate) async fn begin(phone: &Phone, address: &str) -> Result<()> {
    let fields = [("address".to_owned(), address.to_owned())].into();
    let begin = RegisterBegin { method: "mails".parse()?, fields };
    in_time("the answer", phone.client.register_begin(&begin)).await??;
    Ok(())
}

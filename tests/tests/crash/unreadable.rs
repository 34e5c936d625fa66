//! What a text or a mail needs cannot be read for a while, after it was claimed: nothing has failed, and it leaves later.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use reqwest::StatusCode;
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use switchhook_protocol::{endpoint::EndpointId, registration::RegisterBegin};
use switchhook_tests::{phone::Phone, waiting::in_time};

use crate::{
    mail,
    stage::{PROGRAM, Stage, mails_in_doubt, post_link, registrations, resend_mail},
};

const ALICE: &str = "+15550100";
const BYSTANDER: &str = "+15550101";
const BOB: &str = "bob@example.com";
const ANNE: &str = "anne@example.com";

/// Passed each time that something could not be read.
const READ_FAILED: &str = "effect.read.failed";

/// In the transaction of each claim the rows that are read next become nonsense.
const NONSENSE: [&str; 2] = [
    "CREATE TRIGGER no_gateways AFTER UPDATE OF state ON outbox WHEN NEW.state = 'performing' \
     BEGIN UPDATE gateways SET provider = 'x' WHERE provider IS NULL; END",
    "CREATE TRIGGER no_mail_servers AFTER UPDATE OF state ON outbox WHEN NEW.state = 'performing' \
     BEGIN UPDATE mail_servers SET settings = 'x' || settings WHERE settings NOT LIKE 'x%'; END",
];

/// And are what they were.
const SENSE: [&str; 4] = [
    "DROP TRIGGER no_gateways",
    "DROP TRIGGER no_mail_servers",
    "UPDATE gateways SET provider = NULL WHERE provider = 'x'",
    "UPDATE mail_servers SET settings = substr(settings, 2) WHERE settings LIKE 'x%'",
];

/// REG-5
#[tokio::test]
async fn reg_3_a_text_leaves_once_after_what_it_needs_could_not_be_read_for_a_while() -> Result<()> {
    let stage = Stage::start(PROGRAM).await?;
    let phone = stage.phone().await?;
    all(&stage.data(), &NONSENSE).await?;
    text(&phone, ALICE).await?;

    ensure!(stage.process.passes(READ_FAILED, 2).await?, "the process died");
    ensure!(stage.transit.count(&ALICE.parse()?) == 0, "it was sent");
    ensure!(stage.admin.in_doubt().await?.is_empty(), "it is given up");
    all(&stage.data(), &SENSE).await?;

    texted(&stage, ALICE).await?;
    text(&phone, BYSTANDER).await?;
    texted(&stage, BYSTANDER).await?;
    ensure!(stage.transit.count(&ALICE.parse()?) == 1, "it was sent twice");
    Ok(())
}

/// REG-5
#[tokio::test]
async fn reg_3_a_text_that_could_not_be_read_when_the_process_died_is_in_doubt() -> Result<()> {
    let mut stage = Stage::start(PROGRAM).await?;
    let phone = stage.phone().await?;
    all(&stage.data(), &NONSENSE).await?;
    stage.process.arm(READ_FAILED).await?;
    text(&phone, ALICE).await?;
    stage.died().await?;
    all(&stage.data(), &SENSE).await?;
    stage.again().await?;

    let in_doubt = stage.admin.in_doubt().await?;
    registrations(&phone).await?;
    text(&phone, BYSTANDER).await?;
    texted(&stage, BYSTANDER).await?;
    ensure!(stage.transit.count(&ALICE.parse()?) == 0, "it was sent again by itself");
    let text = in_doubt.first().context("nothing is in doubt")?;
    assert_eq!(stage.admin.resend(text).await?, StatusCode::ACCEPTED);
    texted(&stage, ALICE).await
}

/// REG-8
#[tokio::test]
async fn reg_7_a_mail_leaves_once_after_what_it_needs_could_not_be_read_for_a_while() -> Result<()> {
    let test = "reg_7_a_mail_leaves_once_after_what_it_needs_could_not_be_read_for_a_while";
    let Some((stage, mut smtp)) = mail::start(test).await? else { return Ok(()) };
    let phone = stage.phone().await?;
    all(&stage.data(), &NONSENSE).await?;
    mail::begin(&phone, BOB).await?;

    ensure!(stage.process.passes(READ_FAILED, 2).await?, "the process died");
    ensure!(mails_in_doubt(&stage).await?.is_empty() && smtp.unread() == 0, "it is given up, or sent");
    all(&stage.data(), &SENSE).await?;

    let bobs = smtp.next_mail().await?;
    ensure!(bobs.to == [BOB], "{bobs:?}");
    ensure!(post_link(&stage, &bobs.token()?).await? == StatusCode::OK);
    mail::begin(&phone, ANNE).await?;
    ensure!(smtp.next_mail().await?.to == [ANNE], "Bob is mailed twice");
    Ok(())
}

/// REG-8
#[tokio::test]
async fn reg_7_a_mail_that_could_not_be_read_when_the_process_died_is_in_doubt() -> Result<()> {
    let test = "reg_7_a_mail_that_could_not_be_read_when_the_process_died_is_in_doubt";
    let Some((mut stage, mut smtp)) = mail::start(test).await? else { return Ok(()) };
    let phone = stage.phone().await?;
    all(&stage.data(), &NONSENSE).await?;
    stage.process.arm(READ_FAILED).await?;
    mail::begin(&phone, BOB).await?;
    stage.died().await?;
    all(&stage.data(), &SENSE).await?;
    stage.again().await?;

    let in_doubt = mails_in_doubt(&stage).await?;
    registrations(&phone).await?;
    mail::begin(&phone, ANNE).await?;
    ensure!(smtp.next_mail().await?.to == [ANNE], "Bob is mailed again by itself");
    resend_mail(&stage, in_doubt.first().context("nothing is in doubt")?).await?;
    ensure!(smtp.next_mail().await?.to == [BOB]);
    Ok(())
}

/// Has a code sent to a number that somebody typed.
async fn text(phone: &Phone, number: &str) -> Result<()> {
    let fields = [("number".to_owned(), number.to_owned())].into();
    let begin = RegisterBegin { method: "register-phone-entry".parse()?, fields };
    in_time("the answer", phone.client.register_begin(&begin)).await??;
    Ok(())
}

async fn texted(stage: &Stage, number: &str) -> Result<()> {
    let number: EndpointId = number.parse()?;
    in_time("the code", stage.transit.carrier.next_text(&number, 0)).await.map(drop)
}

/// Says all of this to the database from outside, at once.
async fn all(data: &Path, statements: &[&'static str]) -> Result<()> {
    let options = SqliteConnectOptions::new().filename(data.join("switchhook.db"));
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for statement in statements {
        sqlx::query(*statement).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(connection.close().await?)
}

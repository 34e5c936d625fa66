//! Mails of which nobody knows whether their server took them (REG-7).

use anyhow::{Context as _, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::json;
use switchhook_protocol::registration::RegistrationProgress;
use switchhook_tests::waiting::until;

use crate::mail::{Desk, begin, post};

const BOB: &str = "bob@example.com";
const ANNE: &str = "anne@example.com";

/// Seconds that a mail server may be silent: so many that it never is on a machine with much to do.
const PATIENCE: u16 = 5;

#[tokio::test]
async fn reg_7_a_mail_of_which_nobody_knows_is_in_doubt_and_sent_again_on_request_only() -> Result<()> {
    let test = "reg_7_a_mail_of_which_nobody_knows_is_in_doubt_and_sent_again_on_request_only";
    let Some(mut desk) = Desk::start(test).await? else { return Ok(()) };
    let phone = desk.host.stranger().await?;
    desk.smtp.tell(&json!({ "answer": "die" })).await?;
    begin(&phone, BOB).await??;
    desk.smtp.next_mail().await?;
    let mails = until("the doubt", async || Ok(Some(desk.in_doubt().await?).filter(|some| !some.is_empty())));
    let mails = mails.await?;

    desk.smtp.tell(&json!({ "answer": "take" })).await?;
    // Others' mails go on, and it stays where it is.
    begin(&phone, ANNE).await??;
    ensure!(desk.smtp.next_mail().await?.to == [ANNE] && desk.in_doubt().await? == mails);

    let path = format!("mails/{}/resend", mails.first().context("nothing is in doubt")?);
    let (status, _) = desk.host.admin.ask_tenant(Method::POST, &path, None).await?;
    ensure!(status == StatusCode::ACCEPTED, "{status}");
    let again = desk.smtp.next_mail().await?;
    ensure!(again.to == [BOB]);
    let (status, _, page) = desk.browse(Method::POST, &again.token()?).await?;
    ensure!(status == StatusCode::OK, "{status} {page}");
    ensure!(desk.in_doubt().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn reg_7_a_mail_whose_server_never_answers_is_in_doubt_and_holds_up_no_other() -> Result<()> {
    let test = "reg_7_a_mail_whose_server_never_answers_is_in_doubt_and_holds_up_no_other";
    let desk = Desk::with(test, |settings| settings.mail.taken_within_s = PATIENCE).await?;
    let Some(mut desk) = desk else { return Ok(()) };
    let (bob, anne) = (desk.host.stranger().await?, desk.host.stranger().await?);
    desk.smtp.tell(&json!({ "answer": "hang" })).await?;
    begin(&bob, BOB).await??;
    let hung = desk.smtp.next_mail().await?;
    ensure!(hung.to == [BOB], "{hung:?}");

    // The server has all of it and says nothing to it; to others it does.
    desk.smtp.tell(&json!({ "answer": "take" })).await?;
    begin(&anne, ANNE).await??;
    let token = desk.smtp.next_mail().await?.token()?;
    let registered = RegistrationProgress::Registered { endpoint: ANNE.parse()? };
    ensure!(post(&anne, ANNE, &token).await?? == registered);

    let mails =
        until("the doubt", async || Ok(Some(desk.in_doubt().await?).filter(|some| !some.is_empty()))).await?;
    ensure!(desk.smtp.unread() == 0, "it was sent again by itself");
    let path = format!("mails/{}/resend", mails.first().context("nothing is in doubt")?);
    let (status, _) = desk.host.admin.ask_tenant(Method::POST, &path, None).await?;
    ensure!(status == StatusCode::ACCEPTED, "{status}");
    let again = desk.smtp.next_mail().await?;
    ensure!(again.to == [BOB] && again.token()? == hung.token()?, "{again:?}");
    let registered = RegistrationProgress::Registered { endpoint: BOB.parse()? };
    ensure!(post(&bob, BOB, &again.token()?).await?? == registered);
    Ok(())
}

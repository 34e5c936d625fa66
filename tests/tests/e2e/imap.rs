//! A client that reads its user's mailbox, at an IMAP server of others.

use anyhow::{Context as _, Result, ensure};
use reqwest::{Method, StatusCode};
use switchhook_client::mailbox::{Expected, Mailbox, MailboxError, validate};
use switchhook_protocol::{endpoint::EndpointId, error::ErrorCode, registration::RegistrationProgress};
use switchhook_tests::{
    dovecot::Dovecot,
    phone::{Phone, refusal},
    smtp::{Received, SENDER},
    waiting::in_time,
};

use crate::mail::{Desk, begin};

const BOB: &str = "bob@example.com";
const ANNE: &str = "anne@example.com";

/// REG-18
#[tokio::test]
async fn reg_8_a_client_finds_the_token_in_its_users_mailbox_among_decoys() -> Result<()> {
    let test = "reg_8_a_client_finds_the_token_in_its_users_mailbox_among_decoys";
    let (Some(mut desk), Some(dovecot)) = (Desk::start(test).await?, Dovecot::start(test).await?) else {
        return Ok(());
    };
    let (phone, annes_phone) = (desk.host.stranger().await?, desk.host.stranger().await?);
    begin(&annes_phone, ANNE).await??;
    let annes = desk.smtp.next_mail().await?;
    begin(&phone, BOB).await??;
    let bobs = desk.smtp.next_mail().await?;

    // Anne's token as if it had come to Bob; somebody else's mail; and what is no mail at all.
    dovecot.deliver("bob", "1.forged", &annes.raw.replace(ANNE, BOB))?;
    dovecot.deliver("bob", "2.foreign", &bobs.raw.replace(SENDER, "mallory@evil.example"))?;
    dovecot.deliver("bob", "3.garbage", "\u{0}\u{1}no mail")?;
    let (sender, address): (EndpointId, EndpointId) = (SENDER.parse()?, BOB.parse()?);
    let expected = Expected { sender: &sender, address: &address };
    let mailbox = dovecot.mailbox("bob")?;
    let before = mailbox.look(expected).await?;
    ensure!(before == [annes.token()?], "{before:?}");
    let validating = validating(&phone, &mailbox, expected);

    let arriving = async {
        dovecot.deliver("bob", "4.true", &split(&bobs)?)?;
        Ok::<_, anyhow::Error>(())
    };
    let (validated, arrived) = tokio::join!(in_time("the validation", validating), arriving);
    arrived?;
    ensure!(validated?? == RegistrationProgress::Registered { endpoint: address.clone() });
    ensure!(phone.registrations().await? == std::slice::from_ref(&address));
    ensure!(annes_phone.registrations().await?.is_empty());

    // Nothing in the mailbox was touched: the same mails are found again.
    ensure!(dovecot.mailbox("bob")?.look(expected).await?.len() == 2);
    Ok(())
}

#[tokio::test]
async fn reg_8_the_persons_click_and_the_clients_post_count_once() -> Result<()> {
    let test = "reg_8_the_persons_click_and_the_clients_post_count_once";
    let (Some(mut desk), Some(dovecot)) = (Desk::start(test).await?, Dovecot::start(test).await?) else {
        return Ok(());
    };
    let phone = desk.host.stranger().await?;
    begin(&phone, BOB).await??;
    let mail = desk.smtp.next_mail().await?;
    let (status, _, _) = desk.browse(Method::POST, &mail.token()?).await?;
    ensure!(status == StatusCode::OK, "{status}");

    dovecot.deliver("bob", "1.late", &mail.raw)?;
    let (sender, address): (EndpointId, EndpointId) = (SENDER.parse()?, BOB.parse()?);
    let expected = Expected { sender: &sender, address: &address };
    let mailbox = dovecot.mailbox("bob")?;
    match in_time("the answer", validating(&phone, &mailbox, expected)).await? {
        Err(MailboxError::Host(error)) => ensure!(refusal(Err::<(), _>(error))? == ErrorCode::LinkUsed),
        other => anyhow::bail!("{other:?}"),
    }
    ensure!(phone.registrations().await? == [address]);
    Ok(())
}

#[tokio::test]
async fn reg_8_a_mailbox_that_says_no_is_not_asked_again() -> Result<()> {
    let test = "reg_8_a_mailbox_that_says_no_is_not_asked_again";
    let (Some(desk), Some(dovecot)) = (Desk::start(test).await?, Dovecot::start(test).await?) else {
        return Ok(());
    };
    let phone = desk.host.stranger().await?;
    let (sender, address): (EndpointId, EndpointId) = (SENDER.parse()?, BOB.parse()?);
    let expected = Expected { sender: &sender, address: &address };
    let mut mailbox = dovecot.mailbox("bob")?;
    mailbox.password = "another one".to_owned().into();
    let refused = in_time("the answer", validating(&phone, &mailbox, expected)).await?;
    ensure!(matches!(refused, Err(MailboxError::Refused(_))), "{refused:?}");
    Ok(())
}

async fn validating(
    phone: &Phone,
    mailbox: &Mailbox,
    expected: Expected<'_>,
) -> Result<RegistrationProgress, MailboxError> {
    validate(&phone.client, mailbox, expected).await
}

/// The same mail without its header, and its text as quoted-printable that splits the token.
fn split(mail: &Received) -> Result<String> {
    let (head, _) = mail.raw.split_once("\r\n\r\n").context("no text")?;
    let kept = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        !matches!(name.as_str(), "switchhook-token" | "content-transfer-encoding")
    };
    let head: Vec<&str> = head.split("\r\n").filter(kept).collect();
    let token = mail.token()?;
    let (start, rest) = token.split_at_checked(20).context("no token")?;
    let body = mail.text()?.replace('=', "=3D").replace(&token, &format!("{start}=\r\n{rest}"));
    Ok(format!("{}\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{body}", head.join("\r\n")))
}

//! A client that reads its user's mailbox, at an IMAP server of others.

use anyhow::{Context as _, Result, ensure};
use reqwest::{Method, StatusCode};
use switchhook_client::mailbox::{Expected, Mailbox, MailboxError, validate};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    registration::{RegisterLink, RegistrationProgress},
};
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

/// A used link ends nothing, nor do more forged mails than one look reads.
#[tokio::test]
async fn reg_8_neither_a_used_link_nor_many_newer_mails_hide_the_true_one() -> Result<()> {
    let test = "reg_8_neither_a_used_link_nor_many_newer_mails_hide_the_true_one";
    let (Some(mut desk), Some(dovecot)) = (Desk::start(test).await?, Dovecot::start(test).await?) else {
        return Ok(());
    };
    let (phone, annes_phone) = (desk.host.stranger().await?, desk.host.stranger().await?);
    begin(&annes_phone, ANNE).await??;
    let annes = desk.smtp.next_mail().await?;
    begin(&phone, BOB).await??;
    let used = desk.smtp.next_mail().await?;
    let (status, _, _) = desk.browse(Method::POST, &used.token()?).await?;
    ensure!(status == StatusCode::OK, "{status}");
    let (sender, address): (EndpointId, EndpointId) = (SENDER.parse()?, BOB.parse()?);
    let posted = RegisterLink { address: address.clone(), token: used.token()? };
    ensure!(refusal(phone.client.register_link(&posted).await)? == ErrorCode::LinkUsed);

    begin(&phone, BOB).await??;
    let bobs = desk.smtp.next_mail().await?;
    let expected = Expected { sender: &sender, address: &address };
    let mailbox = dovecot.mailbox("bob")?;
    // Numbered by the look, and so older than what comes after it.
    dovecot.deliver("bob", "1.true", &bobs.raw)?;
    ensure!(mailbox.look(expected).await? == [bobs.token()?]);
    dovecot.deliver("bob", "2.used", &used.raw)?;
    for forged in 3..11 {
        dovecot.deliver("bob", &format!("{forged}.forged"), &annes.raw.replace(ANNE, BOB))?;
    }
    ensure!(!mailbox.look(expected).await?.contains(&bobs.token()?), "one look reads them all");

    let validated = in_time("the validation", validating(&phone, &mailbox, expected)).await??;

    ensure!(validated == RegistrationProgress::Registered { endpoint: address.clone() });
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

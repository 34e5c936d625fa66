//! The client's own reading of the mail, and the person's press of the button: whoever is first ends both (REG-8).
//!
//! A phone, whose client reads its user's mailbox, and a tablet, which waits for the push, have asked for an address; a
//! watch of the same user has not.

use std::convert::Infallible;

use anyhow::{Result, bail, ensure};
use reqwest::{Method, StatusCode};
use switchhook_client::{
    ClientEvent,
    mailbox::{Expected, Mailbox, validate as look},
};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    event::Event,
    registration::{AddressState, Credentials, RegisterLink},
};
use switchhook_tests::{
    dovecot::Dovecot,
    phone::{Phone, refusal},
    profile::{register, sign_in, states, user, validate},
    smtp::{Received, SENDER},
    waiting::until,
};

use crate::mail::Desk;

const BOB: &str = "bob@example.org";

/// REG-17
#[tokio::test]
async fn reg_8_the_button_after_the_client_has_read_the_mail_says_that_all_is_well() -> Result<()> {
    let test = "reg_8_the_button_after_the_client_has_read_the_mail_says_that_all_is_well";
    let Some(mut race) = Box::pin(Race::start(test)).await? else { return Ok(()) };
    let asked = race.ask(BOB).await?;
    race.dovecot.deliver("bob", "1.true", &asked.mail.raw)?;

    prove(&mut race.phone, &race.mailbox, &asked.address).await?;
    heard(&mut race.tablet, &asked.address).await?;

    race.press_late(&asked).await?;
    race.settled(&asked.address).await?;
    let validation = validate(&race.phone, &race.of_phone, &[BOB]).await?;
    assert_eq!(states(&validation), [(BOB, AddressState::Validated)]);
    register(&race.phone, &race.of_phone, &validation, &asked.address).await?;
    assert_eq!(race.phone.registrations().await?, [asked.address]);
    Ok(())
}

/// REG-17
#[tokio::test]
async fn reg_8_a_client_whose_user_was_faster_hears_it_and_shows_no_error() -> Result<()> {
    let test = "reg_8_a_client_whose_user_was_faster_hears_it_and_shows_no_error";
    let Some(mut race) = Box::pin(Race::start(test)).await? else { return Ok(()) };
    let asked = race.ask(BOB).await?;
    ensure!(race.press(&asked).await? == StatusCode::OK);
    race.dovecot.deliver("bob", "1.true", &asked.mail.raw)?;

    // The client finds the mail, posts its token, and goes on looking: it was used.
    let used = "switchhook_refused_total{outcome=\"link-used\"}";
    let posted = until("the token", async || race.desk.host.admin.metric(used).await);
    tokio::select! {
        ended = looking(&race.phone, &race.mailbox, &asked.address) => drop(ended?),
        posted = posted => drop(posted?),
    }

    prove(&mut race.phone, &race.mailbox, &asked.address).await?;
    heard(&mut race.tablet, &asked.address).await?;
    let late = RegisterLink { address: asked.address.clone(), token: asked.mail.token()? };
    ensure!(refusal(race.phone.client.register_link(&late).await)? == ErrorCode::LinkUsed);
    race.settled(&asked.address).await
}

/// REG-17
#[tokio::test]
async fn reg_8_client_person_and_another_mails_link_at_once_tell_each_device_once() -> Result<()> {
    let test = "reg_8_client_person_and_another_mails_link_at_once_tell_each_device_once";
    let Some(mut race) = Box::pin(Race::start(test)).await? else { return Ok(()) };
    for round in 0..4 {
        let asked = race.ask(&format!("bob{round}@example.org")).await?;
        race.dovecot.deliver("bob", &format!("{round}.true"), &asked.mail.raw)?;
        let Race { desk, phone, tablet, mailbox, .. } = &mut race;
        let (token, other) = (asked.mail.token()?, asked.tablets.token()?);

        let (mine, theirs, person, second) = tokio::join!(
            prove(phone, mailbox, &asked.address),
            heard(tablet, &asked.address),
            desk.browse(Method::POST, &token),
            desk.browse(Method::POST, &other),
        );

        mine?;
        theirs?;
        let (status, _, page) = person?;
        ensure!(page.contains("onfirmed") && !page.contains("did not work"), "{round}: {status} {page}");
        ensure!(second?.0 == StatusCode::OK, "{round}: the tablet's own link is another one");
        race.settled(&asked.address).await?;
    }
    Ok(())
}

/// A host with a mail server, a mailbox, and three devices of one user.
struct Race {
    desk: Desk,
    dovecot: Dovecot,
    mailbox: Mailbox,
    phone: Phone,
    tablet: Phone,
    watch: Phone,
    of_phone: Credentials,
    of_tablet: Credentials,
}

/// An address that phone and tablet have asked for.
struct Asked {
    address: EndpointId,
    /// The phone's mail.
    mail: Received,
    /// The tablet's.
    tablets: Received,
}

impl Race {
    async fn start(test: &str) -> Result<Option<Self>> {
        let (Some(desk), Some(dovecot)) = (Desk::start(test).await?, Dovecot::start(test).await?) else {
            return Ok(None);
        };
        user(&desk.host.admin, "bob", &[]).await?;
        let (phone, tablet, watch) =
            (desk.host.stranger().await?, desk.host.stranger().await?, desk.host.stranger().await?);
        let (of_phone, of_tablet) = (sign_in(&phone, "bob").await?, sign_in(&tablet, "bob").await?);
        sign_in(&watch, "bob").await?;
        let mailbox = dovecot.mailbox("bob")?;
        Ok(Some(Self { desk, dovecot, mailbox, phone, tablet, watch, of_phone, of_tablet }))
    }

    /// Phone and tablet ask, the watch does not.
    async fn ask(&mut self, address: &str) -> Result<Asked> {
        validate(&self.phone, &self.of_phone, &[address]).await?;
        let mail = self.desk.smtp.next_mail().await?;
        validate(&self.tablet, &self.of_tablet, &[address]).await?;
        let tablets = self.desk.smtp.next_mail().await?;
        Ok(Asked { address: address.parse()?, mail, tablets })
    }

    /// The person presses the button of the phone's mail.
    async fn press(&self, asked: &Asked) -> Result<StatusCode> {
        Ok(self.desk.browse(Method::POST, &asked.mail.token()?).await?.0)
    }

    /// The same, when the link was used before.
    async fn press_late(&self, asked: &Asked) -> Result<()> {
        for method in [Method::GET, Method::POST] {
            let (status, _, page) = self.desk.browse(method, &asked.mail.token()?).await?;
            ensure!(status == StatusCode::GONE && page.contains("Already confirmed"), "{status} {page}");
        }
        Ok(())
    }

    /// Nobody hears any more of it: neither those who have heard, nor who did not ask.
    async fn settled(&mut self, address: &EndpointId) -> Result<()> {
        for device in [&mut self.phone, &mut self.tablet, &mut self.watch] {
            let words = device.heard().await?;
            ensure!(!words.iter().any(|event| is_about(event, address)), "{words:?}");
        }
        Ok(())
    }
}

/// What an application does: it looks into the mailbox until it hears that the address is validated.
async fn prove(phone: &mut Phone, mailbox: &Mailbox, address: &EndpointId) -> Result<()> {
    let client = phone.client.clone();
    let sender: EndpointId = SENDER.parse()?;
    let looking = async {
        look(&client, mailbox, Expected { sender: &sender, address }).await?;
        // It has posted the token; the word of it comes by itself.
        std::future::pending::<Result<Infallible>>().await
    };
    tokio::select! {
        heard = heard(phone, address) => heard,
        shown = looking => bail!("the user sees {:?}", shown.err()),
    }
}

async fn looking(phone: &Phone, mailbox: &Mailbox, address: &EndpointId) -> Result<Infallible> {
    let sender: EndpointId = SENDER.parse()?;
    let ended = look(&phone.client, mailbox, Expected { sender: &sender, address }).await;
    bail!("it has ended: {ended:?}")
}

/// Waits for the word that this address is validated.
async fn heard(phone: &mut Phone, address: &EndpointId) -> Result<()> {
    phone.expect("the word", |event| is_about(event, address).then_some(())).await
}

fn is_about(event: &ClientEvent, address: &EndpointId) -> bool {
    let ClientEvent::Event(delivered) = event else { return false };
    matches!(&delivered.event, Event::Notice(notice) if notice.word == "validated" && notice.endpoint.as_ref() == Some(address))
}

//! `register-email` from end to end, over a mail server of others (REG-6 to REG-9, REG-17).

use anyhow::{Context as _, Result, ensure};
use reqwest::{Method, StatusCode};
use switchhook_protocol::{
    endpoint::EndpointId,
    error::ErrorCode,
    registration::{AddressState, Scope},
};
use switchhook_tests::{
    phone::{Phone, refusal},
    profile::{email, register, sign_in, states, user, validate},
};

use crate::mail::Desk;

const BOB: &str = "bob@example.org";
const WORK: &str = "bob@work.example";

/// REG-6, REG-9, REG-17
#[tokio::test]
async fn reg_8_one_link_tells_each_device_that_asked_and_each_user_decides() -> Result<()> {
    let test = "reg_8_one_link_tells_each_device_that_asked_and_each_user_decides";
    let Some(mut desk) = Desk::start(test).await? else { return Ok(()) };
    user(&desk.host.admin, "bob", &[]).await?;
    let (phone, mut tablet, watch) =
        (desk.host.stranger().await?, desk.host.stranger().await?, desk.host.stranger().await?);
    let (of_phone, of_tablet) = (sign_in(&phone, "bob").await?, sign_in(&tablet, "bob").await?);
    let of_watch = sign_in(&watch, "bob").await?;
    let asked = validate(&phone, &of_phone, &[BOB]).await?;
    assert_eq!(states(&asked), [(BOB, AddressState::Asked)]);
    let token = desk.smtp.next_mail().await?.token()?;
    let also = validate(&tablet, &of_tablet, &[BOB]).await?;
    let early = email(&phone)?.answer(&asked.attempt, &BOB.parse()?, true).await;
    ensure!(refusal(early)? == ErrorCode::AddressNotValidated);

    // Between mail and link the host is started again.
    let (settings, identity) = phone.leave().await;
    desk.host.restart(async |_| Ok(())).await?;
    let mut phone = Phone::connect(settings, identity).await?;
    let (status, _, page) = desk.browse(Method::POST, &token).await?;
    ensure!(status == StatusCode::OK, "{status} {page}");

    for (device, attempt) in [(&mut phone, &asked.attempt), (&mut tablet, &also.attempt)] {
        let notice = device.expect_notice().await?;
        assert_eq!((&notice.attempt, notice.word.as_str()), (attempt, "validated"));
        assert_eq!(notice.endpoint, Some(BOB.parse()?));
    }
    // The second mail's link validates what is validated, and tells nobody.
    let second = desk.smtp.next_mail().await?.token()?;
    desk.browse(Method::POST, &second).await?;
    assert_eq!(desk.host.admin.metric("switchhook_register_link_total").await?, Some(2.0));

    ensure!(email(&phone)?.answer(&asked.attempt, &BOB.parse()?, false).await?.is_none());
    let login = register(&tablet, &of_tablet, &also, &BOB.parse()?).await?;
    assert_eq!((login.scope, login.endpoint), (Scope::Login, Some(BOB.parse()?)));
    assert_eq!(tablet.registrations().await?, [BOB.parse::<EndpointId>()?]);
    assert_eq!((phone.registrations().await?, watch.registrations().await?), (vec![], vec![]));

    // Whoever asks now needs no mail.
    assert_eq!(states(&validate(&watch, &of_watch, &[BOB]).await?), [(BOB, AddressState::Validated)]);
    assert_eq!(desk.smtp.unread(), 0);
    Ok(())
}

#[tokio::test]
async fn reg_7_mail_goes_to_the_address_alone_that_neither_profile_nor_directory_knows() -> Result<()> {
    let test = "reg_7_mail_goes_to_the_address_alone_that_neither_profile_nor_directory_knows";
    let Some(mut desk) = Desk::start(test).await? else { return Ok(()) };
    user(&desk.host.admin, "bob", &[WORK]).await?;
    let phone = desk.host.stranger().await?;
    let profile = sign_in(&phone, "bob").await?;

    let validation = validate(&phone, &profile, &[WORK, BOB]).await?;

    assert_eq!(states(&validation), [(BOB, AddressState::Asked), (WORK, AddressState::Validated)]);
    let mail = desk.smtp.next_mail().await?;
    ensure!(mail.to == [BOB], "{mail:?}");
    // What is validated is registered while the other waits.
    register(&phone, &profile, &validation, &WORK.parse()?).await?;
    assert_eq!(phone.registrations().await?, [WORK.parse::<EndpointId>()?]);
    let (status, ..) = desk.browse(Method::POST, &mail.token()?).await?;
    ensure!(status == StatusCode::OK);
    register(&phone, &profile, &validation, &BOB.parse()?).await.context("the second")?;
    assert_eq!(phone.registrations().await?.len(), 2);
    Ok(())
}

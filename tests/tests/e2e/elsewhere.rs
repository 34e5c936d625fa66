//! A device proves an identifier that reaches another: the other is told, and keeps it if the tenant says so (REG-11).

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use switchhook_client::registration::heed;
use switchhook_protocol::{error::ErrorCode, event::RegisteredElsewhere, push_token::PushTokenRenew};
use switchhook_tests::{
    application::Application,
    host::Host,
    phone::{Phone, refused_invite},
    profile::{email, register, sign_in, user, validate},
    waiting::in_time,
};

use crate::three::{ALICE, BOB};

const MAIL: &str = "bob@example.org";

/// REG-13
#[tokio::test]
async fn reg_11_a_device_is_told_that_another_has_proven_its_number_and_both_keep_it() -> Result<()> {
    let host = Host::start().await?;
    let (alice, mut phone) = (host.phone(ALICE).await?, host.phone(BOB).await?);

    let mut tablet = host.device("tablet", BOB).await?;

    assert_eq!(phone.expect_elsewhere().await?, word(BOB, true)?);
    let status = alice.invite(BOB).await?;
    assert_eq!(status.devices.len(), 2, "both ring");
    // Doing it again tells nobody: the next word is of the third device.
    tablet.register(&host.transit.carrier, &BOB.parse()?).await?;
    phone.register(&host.transit.carrier, &BOB.parse()?).await?;
    let watch = host.device("watch", BOB).await?;
    for device in [&mut phone, &mut tablet] {
        assert_eq!(device.expect_elsewhere().await?, word(BOB, true)?);
        assert_eq!(device.registrations().await?, [BOB.parse()?]);
    }
    assert_eq!(watch.registrations().await?, [BOB.parse()?]);
    Ok(())
}

#[tokio::test]
async fn reg_11_a_number_that_moves_leaves_its_former_device_which_hears_of_it_when_it_is_back() -> Result<()>
{
    let host = Host::start().await?;
    set(&host, "move").await?;
    let (alice, former) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    let (settings, mut identity) = former.leave().await;

    let tablet = host.device("tablet", BOB).await?;

    let mut former = Phone::connect(settings, identity.clone()).await?;
    let told = former.expect_elsewhere().await?;
    assert_eq!(told, word(BOB, false)?);
    ensure!(heed(&mut identity, &told) && identity.registrations.is_empty(), "{identity:?}");
    assert_eq!((former.registrations().await?, tablet.registrations().await?), (vec![], vec![BOB.parse()?]));
    let status = alice.invite(BOB).await?;
    assert_eq!(status.devices.iter().map(|device| device.kind.as_str()).collect::<Vec<_>>(), ["tablet"]);
    former.number = Some(BOB.parse()?);
    assert_eq!(refused_invite(&former, ALICE).await?.code, ErrorCode::NotYourIdentifier);

    let audit = host.admin.get("audit").await?;
    let entries = audit["entries"].as_array().into_iter().flatten();
    let moved: Vec<&Value> = entries.filter(|entry| entry["action"] == "registration.move").collect();
    assert_eq!(moved.len(), 1, "{audit}");
    let by = (moved[0]["subject"].as_str(), moved[0]["actor"].as_str().map(str::to_owned));
    let itself = format!("device {}", tablet.device());
    assert_eq!(by, (Some(identity.device.as_str()), Some(itself)));
    ensure!(!audit.to_string().contains(BOB), "the audit names nobody");
    Ok(())
}

/// REG-9, REG-16
#[tokio::test]
async fn reg_11_devices_of_one_user_share_an_address_and_another_users_takes_it_from_both() -> Result<()> {
    let host = Host::start().await?;
    set(&host, "move").await?;
    user(&host.admin, "bob", &[MAIL]).await?;
    let (mut phone, mut tablet) = (host.stranger().await?, host.stranger().await?);
    for device in [&phone, &tablet] {
        let profile = sign_in(device, "bob").await?;
        let validation = validate(device, &profile, &[MAIL]).await?;
        register(device, &profile, &validation, &MAIL.parse()?).await?;
    }
    // The third finds the address validated, and asks for no mail.
    let mut watch = host.stranger().await?;
    let profile = sign_in(&watch, "bob").await?;
    let held = email(&watch)?.activate(&profile, &MAIL.parse()?).await?;
    email(&watch)?.register(&profile, &held).await?;
    for device in [&phone, &tablet, &watch] {
        assert_eq!(device.registrations().await?, [MAIL.parse()?], "another device of one user is no move");
    }

    let stranger = host.stranger().await?;
    let crm = Application::of(&host.admin, host.addresses().http, &stranger).await?;
    crm.register(&stranger, MAIL).await?;

    for device in [&mut phone, &mut tablet, &mut watch] {
        // The first word that they hear.
        assert_eq!(device.expect_elsewhere().await?, word(MAIL, false)?);
        assert_eq!(device.registrations().await?, []);
    }
    assert_eq!(stranger.registrations().await?, [MAIL.parse()?]);
    Ok(())
}

#[tokio::test]
async fn reg_11_another_proof_of_the_same_stands_in_the_audit_and_so_does_another_push_token() -> Result<()> {
    let host = Host::start().await?;
    set(&host, "share").await?;
    let (mut first, second) = (host.phone(BOB).await?, host.device("tablet", BOB).await?);
    let crm = Application::of(&host.admin, host.addresses().http, &second).await?;
    crm.register(&second, BOB).await?;
    crm.register(&second, BOB).await?;
    in_time("the token", second.client.push_token_renew(&PushTokenRenew { wraps: None })).await??;

    let audit = host.admin.get("audit").await?;
    let entries = audit["entries"].as_array().into_iter().flatten();
    let of_second = entries.filter(|entry| entry["subject"] == second.device().as_str());
    let changes: Vec<(&str, String)> = of_second
        .map(|entry| (entry["action"].as_str().unwrap_or_default(), entry["detail"].to_string()))
        .collect();
    let actions: Vec<&str> = changes.iter().map(|(action, _)| *action).collect();
    assert_eq!(actions, ["registration.add", "registration.change", "push-token.renew"]);
    ensure!(changes[1].1.contains("register-sms") && changes[1].1.contains("direct"), "{changes:?}");

    // Nobody was told: the first word is of the third device, after the tenant wants it.
    set(&host, "tell").await?;
    host.device("watch", BOB).await?;
    assert_eq!(first.expect_elsewhere().await?, word(BOB, true)?);
    Ok(())
}

/// What becomes of what another device proves.
async fn set(host: &Host, elsewhere: &str) -> Result<()> {
    let wanted = json!({ "again": "each-start", "proven_elsewhere": elsewhere, "test_numbers": [] });
    let (status, body) = host.admin.ask_tenant(Method::PUT, "registering", Some(&wanted)).await?;
    ensure!(status.is_success(), "{status} {body}");
    Ok(())
}

fn word(endpoint: &str, kept: bool) -> Result<RegisteredElsewhere> {
    Ok(RegisteredElsewhere { endpoint: endpoint.parse()?, kept })
}

//! Numbers as users dial them, and where a device says that its user is.

use anyhow::{Context as _, Result};
use serde_json::json;
use switchhook_client::Settings as ClientSettings;
use switchhook_protocol::{
    close::CloseCode,
    error::ErrorCode,
    invitation::Invite,
    number::{CompleteNumber, DialsFrom},
};
use switchhook_server::DEFAULT_TENANT;
use switchhook_tests::{
    host::Host,
    phone::{Phone, open, refusal},
    raw::{self, Raw},
    waiting::in_time,
};

/// A number of Berlin, as its owner registers it.
const BOB: &str = "+4930123456";
const ALICE: &str = "+15550100";

/// REG-10.completed
#[tokio::test]
async fn reg_10_a_number_dialled_without_country_or_area_code_rings_who_is_meant() -> Result<()> {
    let mut host = Host::start().await?;
    let mut bob = host.phone(BOB).await?;
    let alice = host.phone(ALICE).await?;
    let alice = berlin(&host, alice).await?;

    for dialled in ["123456", "030 123456", "0049 30 123456", "+49 (30) 123456"] {
        let status = in_time("the invite", alice.client.invite(&dial(&alice, dialled).await?)).await??;
        assert_eq!(status.devices.first().context("nobody is rung")?.endpoint.reveal(), BOB, "{dialled}");
        assert_eq!(bob.expect_invite().await?.session, status.session);
    }

    // It is kept: a client that does not say it again is still there.
    let (settings, identity) = (host.client_settings("phone")?, alice.identity.clone());
    drop(alice);
    host.restart(async |_| Ok(())).await?;
    let again = Phone::connect(settings, identity).await?;
    let dialled = CompleteNumber { dialled: "030 123456".to_owned() };
    assert_eq!(in_time("the number", again.client.complete_number(&dialled)).await??.number.reveal(), BOB);
    Ok(())
}

#[tokio::test]
async fn what_is_no_number_rings_nobody_and_says_so() -> Result<()> {
    let host = Host::start().await?;
    let alice = host.phone(ALICE).await?;
    let nowhere = in_time("the refusal", alice.client.invite(&dial(&alice, "030 123456").await?)).await?;
    assert_eq!(refusal(nowhere)?, ErrorCode::UnknownCountry);

    let alice = berlin(&host, alice).await?;
    for dialled in ["12", "bob", "+999 1234567", "0", &"1".repeat(65)] {
        let refused = in_time("the refusal", alice.client.invite(&dial(&alice, dialled).await?)).await?;
        assert_eq!(refusal(refused)?, ErrorCode::InvalidNumber, "{dialled}");
    }
    let invite = dial(&alice, "123456").await?;
    let many = Invite { dialled: vec!["123456".to_owned(); 17], ..invite };
    assert_eq!(refusal(in_time("the refusal", alice.client.invite(&many)).await?)?, ErrorCode::Malformed);
    assert_eq!(host.stored().await?.get("sessions"), Some(&0), "nothing is stored");
    Ok(())
}

#[tokio::test]
async fn a_country_that_does_not_exist_is_told_at_sign_in() -> Result<()> {
    let host = Host::start().await?;
    let alice = host.stranger().await?;
    for (from, code) in [
        (json!({ "country": "XX" }), "unknown-country"),
        (json!({ "country": "Germany" }), "malformed"),
        (json!({ "country": "DE", "area": "30; DROP" }), "malformed"),
    ] {
        let mut raw = Raw::connect(host.addresses().http, DEFAULT_TENANT).await?;
        let nonce = raw.challenge().await?;
        let mut hello = raw::hello(&nonce, &alice.settings.tenant, &alice.identity)?;
        hello.as_object_mut().context("an object")?.insert("dials_from".to_owned(), from.clone());
        raw.say(hello.to_string()).await?;
        assert_eq!(raw::code_of(&raw.message().await?), code, "{from}");
        assert_eq!(raw.close_code().await?, CloseCode::Malformed.row().code, "the same again is no better");
    }
    Ok(())
}

/// The same device, signed in anew by somebody in Berlin.
async fn berlin(host: &Host, phone: Phone) -> Result<Phone> {
    let from = DialsFrom { country: "DE".to_owned(), area: Some("030".to_owned()) };
    let settings: ClientSettings = host.client_settings("phone")?.dials_from(from);
    let (identity, number) = (phone.identity.clone(), phone.number.clone());
    drop(phone);
    let mut phone = Phone::connect(settings, identity).await?;
    phone.number = number;
    Ok(phone)
}

async fn dial(phone: &Phone, dialled: &str) -> Result<Invite> {
    let invite = phone.invite_of(&phone.prepare(&open()).await?, &[])?;
    Ok(Invite { dialled: vec![dialled.to_owned()], ..invite })
}

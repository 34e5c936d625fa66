//! Signatures that do not belong to what is said beside them (REG-4).

use anyhow::{Context as _, Result};
use switchhook_client::registration::{begin_text, keep_text};
use switchhook_protocol::{
    error::ErrorCode,
    id::AttemptId,
    registration::{RegisterCode, RegisterValidate, RegistrationProgress},
};
use switchhook_tests::{
    host::Host,
    phone::{Phone, refusal},
    waiting::in_time,
};

use crate::{ALICE, BOB, others};

const ANOTHER: &str = "+15550102";

#[tokio::test]
async fn reg_4_a_registration_with_any_single_field_changed_is_refused() -> Result<()> {
    let (host, alice, mallory) = stage().await?;
    let good = signed(&host, &alice, ANOTHER).await?;
    let before = host.stored().await?;
    let wrong = [
        RegisterValidate { number: ALICE.parse()?, ..good.clone() },
        RegisterValidate { number: BOB.parse()?, ..good.clone() },
        RegisterValidate { push_token: mallory.identity.push_token.clone(), ..good.clone() },
        RegisterValidate { push_token: "nobodys".parse()?, ..good.clone() },
        RegisterValidate { device: mallory.device().clone(), ..good.clone() },
        RegisterValidate { device: "nobodys".parse()?, ..good.clone() },
        RegisterValidate { signature: String::new(), ..good.clone() },
        RegisterValidate { signature: format!("{}A", good.signature), ..good.clone() },
        RegisterValidate { signature: good.signature.to_lowercase(), ..good.clone() },
    ];
    for request in wrong {
        refused(&alice, &request).await?;
    }
    for signature in others(&good.signature) {
        refused(&alice, &RegisterValidate { signature, ..good.clone() }).await?;
    }
    assert_eq!(alice.registrations().await?, [ALICE.parse()?], "what was registered before stays");
    assert_eq!(host.stored().await?, before);

    confirmed(&alice, &good).await
}

#[tokio::test]
async fn reg_4_another_device_cannot_use_a_signature() -> Result<()> {
    let (host, alice, mallory) = stage().await?;
    let good = signed(&host, &alice, ANOTHER).await?;
    let before = host.stored().await?;
    let (token, device) = (mallory.identity.push_token.clone(), mallory.device().clone());
    let stolen = [
        good.clone(),
        RegisterValidate { device: device.clone(), ..good.clone() },
        RegisterValidate { device, push_token: token, ..good.clone() },
    ];
    for request in &stolen {
        refused(&mallory, request).await?;
    }
    assert_eq!(mallory.registrations().await?, [BOB.parse()?]);
    assert_eq!(host.stored().await?, before);

    confirmed(&alice, &good).await?;
    for request in &stolen {
        refused(&mallory, request).await?;
    }
    Ok(())
}

#[tokio::test]
async fn reg_4_a_text_from_another_number_registers_that_number_alone() -> Result<()> {
    let host = Host::start().await?;
    let phone = host.stranger().await?;
    let good = signed(&host, &phone, ANOTHER).await?;
    assert_eq!(host.transit.count(&ALICE.parse()?), 0, "the signature goes where the text came from");
    let before = host.stored().await?;

    refused(&phone, &RegisterValidate { number: ALICE.parse()?, ..good.clone() }).await?;

    assert_eq!(phone.registrations().await?, []);
    assert_eq!(host.stored().await?, before);
    confirmed(&phone, &good).await?;
    assert_eq!(phone.registrations().await?, [ANOTHER.parse()?]);
    Ok(())
}

#[tokio::test]
async fn reg_5_a_code_for_an_attempt_of_nobody_or_of_another_is_refused() -> Result<()> {
    let (host, alice, mallory) = stage().await?;
    let text = begin_text(&alice.identity);
    let accepted = host.transit.carrier.text(&ANOTHER.parse()?, &text).await?;
    let nobodys: AttemptId = "nobodys".parse()?;
    let own = accepted.attempt().cloned().context("no attempt")?;
    for attempt in [nobodys, own] {
        let request = RegisterCode { attempt, code: "000000".to_owned() };
        let answer = in_time("the answer", mallory.client.register_code(&request)).await?;
        assert_eq!(refusal(answer)?, ErrorCode::NotFound);
    }
    assert_eq!(mallory.registrations().await?, [BOB.parse()?]);
    Ok(())
}

/// Two devices with a number each.
async fn stage() -> Result<(Host, Phone, Phone)> {
    let host = Host::start().await?;
    let (alice, mallory) = (host.phone(ALICE).await?, host.phone(BOB).await?);
    Ok((host, alice, mallory))
}

/// What a device may say after it has texted from this number.
async fn signed(host: &Host, phone: &Phone, number: &str) -> Result<RegisterValidate> {
    let (carrier, number) = (&host.transit.carrier, number.parse()?);
    in_time("the text", carrier.text(&number, &begin_text(&phone.identity))).await??;
    let text = in_time("the SMS", carrier.next_text(&number, 0)).await?;
    let mut identity = phone.identity.clone();
    keep_text(&mut identity, &text).context("the SMS is no signature")?;
    let kept = identity.registrations.into_iter().find(|kept| kept.number == number);
    let kept = kept.context("the signature is for another number")?;
    Ok(RegisterValidate {
        number,
        push_token: kept.push_token,
        device: kept.device,
        signature: kept.signature,
    })
}

async fn refused(phone: &Phone, request: &RegisterValidate) -> Result<()> {
    let answer = in_time("the answer", phone.client.register_validate(request)).await?;
    assert_eq!(refusal(answer)?, ErrorCode::RegistrationMismatch);
    Ok(())
}

async fn confirmed(phone: &Phone, request: &RegisterValidate) -> Result<()> {
    let answer = in_time("the answer", phone.client.register_validate(request)).await??;
    assert_eq!(answer, RegistrationProgress::Registered { endpoint: request.number.clone() });
    assert!(phone.registrations().await?.contains(&request.number));
    Ok(())
}

//! A phone with two SIMs: one push token, a registration for each number.

use anyhow::{Context as _, Result, ensure};
use switchhook_client::registration::{begin_text, keep_text, validate};
use switchhook_protocol::{endpoint::EndpointId, error::ErrorCode, registration::RegisterValidate};
use switchhook_tests::{host::Host, phone::refusal, waiting::in_time};

const NUMBERS: [&str; 2] = ["+15550100", "+4915112345678"];

/// REG-4, REG-11
#[tokio::test]
async fn reg_3_a_phone_with_two_numbers_gets_two_signatures_for_one_token() -> Result<()> {
    let host = Host::start().await?;
    let mut phone = host.stranger().await?;
    let (carrier, text) = (&host.transit.carrier, begin_text(&phone.identity));
    let [first, second]: [EndpointId; 2] = [NUMBERS[0].parse()?, NUMBERS[1].parse()?];

    let (one, other) = tokio::join!(carrier.text(&first, &text), carrier.text(&second, &text));
    ensure!(one?.attempt() != other?.attempt(), "one attempt for two numbers");
    for number in [&first, &second] {
        let came = in_time("the SMS", carrier.next_text(number, 0)).await?;
        ensure!(keep_text(&mut phone.identity, &came).as_ref() == Some(number), "{came}");
    }
    let [one, other] = &phone.identity.registrations[..] else { anyhow::bail!("{:?}", phone.identity) };
    ensure!(one.signature != other.signature && one.push_token == other.push_token);

    // Each is good for its own number alone.
    let swapped = RegisterValidate {
        number: one.number.clone(),
        push_token: one.push_token.clone(),
        device: one.device.clone(),
        signature: other.signature.clone(),
    };
    let refused = in_time("the answer", phone.client.register_validate(&swapped)).await?;
    ensure!(refusal(refused)? == ErrorCode::RegistrationMismatch);

    let confirmed = in_time("the registration", validate(&phone.client, &mut phone.identity)).await??;
    ensure!(confirmed == [first.clone(), second.clone()], "{confirmed:?}");
    let mut held = phone.registrations().await?;
    held.sort();
    ensure!(held == [first.clone(), second], "{held:?}");
    // One of them again, by itself, leaves the other where it is.
    phone.register(carrier, &first).await.context("the first again")?;
    ensure!(phone.registrations().await?.len() == 2);
    Ok(())
}

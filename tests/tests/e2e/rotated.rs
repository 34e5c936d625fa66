//! What is sought by a name that the host's key makes is found while the keys are rotated, whichever of them seals.
//!
//! The host starts again under other keys in between, as another node would be at another step of the rotation: at the
//! next, and at the one before.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use switchhook_client::registration::begin_text;
use switchhook_protocol::endpoint::EndpointId;
use switchhook_server::ROOT_KEYS;
use switchhook_tests::{
    host::Host,
    smsc::{NUMBER, Smsc},
    waiting::in_time,
};

/// What `root.keys` says after another start: the new key opens, it seals, and it only opens again.
type Step = fn(old: &str, new: &str) -> String;

const STEPS: [Step; 3] = [
    |old, new| format!("{old}\n{new}"),
    |old, new| format!("{new}\n{old}"),
    |old, new| format!("{old}\n{new}"),
];

#[tokio::test]
async fn reg_2_a_registration_that_began_under_one_key_goes_on_under_the_next_and_the_one_before()
-> Result<()> {
    let mut host = Host::start().await?;
    let old = keys(&host)?;
    let mut begun = Vec::new();
    for (at, step) in STEPS.iter().enumerate() {
        let (number, phone) = (number(at)?, host.stranger().await?);
        let text = begin_text(&phone.identity);
        let attempt = texted(&host, &number, &text).await?;
        begun.push((number, text, attempt));

        host.stop().await;
        write_keys(&host, &step(&old, &new_key()))?;
        host.start_again().await?;
        for (number, text, attempt) in &begun {
            ensure!(texted(&host, number, text).await? == *attempt, "step {at}: another attempt");
        }
    }
    Ok(())
}

#[tokio::test]
async fn reg_2_parts_that_come_under_two_keys_are_one_text() -> Result<()> {
    let Some(mut smsc) = Smsc::start("reg_2_parts_that_come_under_two_keys_are_one_text").await? else {
        return Ok(());
    };
    let mut host = Host::start().await?;
    smsc.connect(&host).await?;
    let old = keys(&host)?;
    for (at, step) in STEPS.iter().enumerate() {
        let (number, phone) = (number(at)?, host.stranger().await?);
        let text = begin_text(&phone.identity);
        let (first, second) = text.split_at(10);
        ensure!(smsc.deliver(&part(1, &number, first)).await? == 0, "step {at}: the first part is refused");

        host.stop().await;
        smsc.next("unbound").await?;
        write_keys(&host, &step(&old, &new_key()))?;
        host.start_again().await?;
        smsc.next("bound").await?;
        ensure!(smsc.deliver(&part(2, &number, second)).await? == 0, "step {at}: the second part is refused");

        let kept = host.stored().await?.get("text_parts").copied().unwrap_or_default();
        ensure!(kept == 0, "step {at}: {kept} parts wait for others");
        let submitted = smsc.next("submitted").await?;
        ensure!(submitted["to"] == number.reveal().trim_start_matches('+'), "step {at}: {submitted}");
    }
    Ok(())
}

/// The attempt that a text of a phone began or went on with.
async fn texted(host: &Host, number: &EndpointId, text: &str) -> Result<String> {
    let accepted = in_time("the text", host.transit.carrier.text(number, text)).await??;
    Ok(accepted.attempt().context("it is no text of a registration")?.to_string())
}

/// A part of a text of two, as a phone sends it.
fn part(part: u8, number: &EndpointId, text: &str) -> Value {
    json!({ "source_addr_ton": 1, "source_addr": number.reveal().trim_start_matches('+'),
        "destination_addr": NUMBER, "esm_class": 0x40, "data_coding": 4, "utf8": text,
        "udh": format!("05000307020{part}") })
}

fn number(at: usize) -> Result<EndpointId> {
    Ok(format!("+155501{at:02}").parse()?)
}

fn keys(host: &Host) -> Result<String> {
    Ok(fs::read_to_string(host.data().join(ROOT_KEYS))?.trim().to_owned())
}

fn new_key() -> String {
    "5a".repeat(32)
}

/// In place, so that the file stays its owner's alone.
fn write_keys(host: &Host, text: &str) -> Result<()> {
    Ok(fs::write(host.data().join(ROOT_KEYS), text)?)
}

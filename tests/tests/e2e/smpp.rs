//! Registration through an SMSC of others, to which the host binds by SMPP 3.4.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use switchhook_client::registration::{begin_text, keep_text, validate};
use switchhook_core::sms::{Alphabet, split};
use switchhook_protocol::registration::RegisterBegin;
use switchhook_server::SANDBOX;
use switchhook_tests::{
    certificates::Authority,
    host::Host,
    phone::Phone,
    smsc::{GATEWAY, NUMBER, Smsc},
    waiting::{in_time, until},
};

const ALICE: &str = "+15550100";

/// SMPP's statuses of a message that is refused for good.
const REFUSED: u64 = 0x66;

/// REG-3
#[tokio::test]
async fn reg_2_a_phone_registers_through_an_smsc() -> Result<()> {
    let Some(mut desk) = Desk::open("reg_2_a_phone_registers_through_an_smsc").await? else { return Ok(()) };
    desk.registers().await
}

#[tokio::test]
async fn reg_2_an_smsc_tells_once_that_a_text_was_delivered() -> Result<()> {
    let test = "reg_2_an_smsc_tells_once_that_a_text_was_delivered";
    let Some(mut desk) = Desk::open(test).await? else { return Ok(()) };
    ensure!(desk.smsc.text(ALICE, &begin_text(&desk.phone.identity)).await? == 0);
    let submitted = desk.smsc.next("submitted").await?;
    let id = submitted["id"].as_str().context("no id")?;
    desk.answer_is_noted().await?;

    for (state, delivered) in
        [("ENROUTE", None), ("DELIVRD", Some(1.0)), ("DELIVRD", Some(1.0)), ("UNDELIV", Some(1.0))]
    {
        ensure!(desk.smsc.receipt(id, state).await? == 0, "{state} is refused");
        ensure!(desk.texts("delivered").await? == delivered, "after {state}");
    }
    ensure!(desk.texts("failed").await?.is_none(), "what was delivered has failed");
    ensure!(desk.smsc.receipt("m-unknown", "DELIVRD").await? == REFUSED, "a receipt of nothing is taken");
    Ok(())
}

#[tokio::test]
async fn reg_2_garbage_of_an_smsc_ends_the_connection_stores_nothing_and_the_host_binds_again() -> Result<()>
{
    let test = "reg_2_garbage_of_an_smsc_ends_the_connection_stores_nothing_and_the_host_binds_again";
    let Some(mut desk) = Desk::open(test).await? else { return Ok(()) };
    let before = desk.host.stored().await?;
    let garbage = [
        // No SMPP at all; a PDU that is longer than any; one that ends inside of its fields.
        "474554202f20485454502f312e310d0a0d0a".to_owned(),
        "7fffffff000000050000000000000001".to_owned(),
        "00000014000000050000000000000001aabbccdd".to_owned(),
    ];
    for bytes in garbage {
        desk.smsc.tell(&json!({ "write": bytes })).await?;
        desk.smsc.next("closed").await?;
        desk.smsc.next("bound").await?;
    }
    ensure!(desk.host.stored().await? == before, "garbage has stored something");
    desk.registers().await
}

#[tokio::test]
async fn reg_2_a_host_binds_again_to_an_smsc_that_went_away() -> Result<()> {
    let Some(mut desk) = Desk::open("reg_2_a_host_binds_again_to_an_smsc_that_went_away").await? else {
        return Ok(());
    };
    desk.smsc.tell(&json!({ "drop": true })).await?;
    desk.smsc.next("closed").await?;
    desk.smsc.next("bound").await?;
    desk.registers().await
}

/// How the pauses grow stands in `host/delivery/src/smpp/pauses.rs`.
#[tokio::test]
async fn reg_2_a_host_tries_an_smsc_that_stays_away_on_and_on_and_texts_that_come_meanwhile_fail()
-> Result<()> {
    let test = "reg_2_a_host_tries_an_smsc_that_stays_away_on_and_on_and_texts_that_come_meanwhile_fail";
    let Some(mut desk) = Desk::open(test).await? else { return Ok(()) };
    desk.smsc.tell(&json!({ "away": true })).await?;
    desk.smsc.next("closed").await?;
    desk.smsc.next("knocked").await?;

    let fields = [("number".to_owned(), ALICE.to_owned())].into();
    let begin = RegisterBegin { method: "register-phone-entry".parse()?, fields };
    // The other gateway that would serve it.
    desk.host.admin.ask_tenant(Method::DELETE, &format!("gateways/{SANDBOX}"), None).await?;
    in_time("the answer", desk.phone.client.register_begin(&begin)).await??;
    until("the failure", async || desk.texts("failed").await).await?;
    for _ in 0..2 {
        desk.smsc.next("knocked").await?;
    }

    desk.smsc.tell(&json!({ "away": false })).await?;
    desk.smsc.next("bound").await?;
    desk.registers().await
}

#[tokio::test]
async fn reg_2_an_smsc_that_is_silent_is_asked_left_and_bound_to_again() -> Result<()> {
    let test = "reg_2_an_smsc_that_is_silent_is_asked_left_and_bound_to_again";
    let Some(mut desk) = Desk::open(test).await? else { return Ok(()) };
    desk.smsc.tell(&json!({ "deaf": true })).await?;
    ensure!(desk.smsc.next("enquired").await? == false, "it answers");
    desk.smsc.next("closed").await?;
    desk.smsc.tell(&json!({ "deaf": false })).await?;
    desk.smsc.next("bound").await?;
    desk.registers().await
}

#[tokio::test]
async fn reg_2_a_phone_registers_through_an_smsc_by_tls_for_which_the_operators_authority_vouches()
-> Result<()> {
    let test = "reg_2_a_phone_registers_through_an_smsc_by_tls_for_which_the_operators_authority_vouches";
    let Some(mut smsc) = Smsc::start(test).await? else { return Ok(()) };
    let (ours, others) = (Authority::new("carriers")?, Authority::new("others")?);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("carriers.pem");
    std::fs::write(&file, ours.pem())?;
    let host = Host::with(|settings| settings.gateways.authorities = Some(file)).await?;
    let (addr, impostor) =
        (smsc.listen_tls(&ours.server()?).await?, smsc.listen_tls(&others.server()?).await?);

    smsc.offer(&host.admin, impostor, true).await?;
    smsc.next("distrusted").await?;
    smsc.offer(&host.admin, addr, true).await?;
    smsc.next("bound").await?;

    let phone = host.stranger().await?;
    Desk { smsc, host, phone }.registers().await
}

#[tokio::test]
async fn reg_2_what_an_smsc_hands_in_and_nobody_wants_is_refused_and_stores_nothing() -> Result<()> {
    let test = "reg_2_what_an_smsc_hands_in_and_nobody_wants_is_refused_and_stores_nothing";
    let Some(mut desk) = Desk::open(test).await? else { return Ok(()) };
    let before = desk.host.stored().await?;
    let text = begin_text(&desk.phone.identity);
    ensure!(desk.smsc.text(ALICE, "hello").await? == REFUSED, "no method wants this");
    ensure!(desk.smsc.text("+1", &text).await? == REFUSED, "that is no number");
    let from_a_name = json!({ "source_addr_ton": 5, "source_addr": "BANK", "destination_addr": NUMBER, "short_message": text });
    ensure!(desk.smsc.deliver(&from_a_name).await? == REFUSED, "that is no phone");
    let binary =
        json!({ "source_addr_ton": 1, "source_addr": "15550100", "data_coding": 4, "hex": "fffe00" });
    ensure!(desk.smsc.deliver(&binary).await? == REFUSED, "that is no text");
    ensure!(desk.host.stored().await? == before, "something is stored");
    Ok(())
}

/// A phone's reply is text in one of its alphabets, or bytes.
#[tokio::test]
async fn reg_2_a_reply_counts_in_every_alphabet_and_as_bytes() -> Result<()> {
    let test = "reg_2_a_reply_counts_in_every_alphabet_and_as_bytes";
    let Some(mut desk) = Desk::open(test).await? else { return Ok(()) };
    // SMPP 3.4, 5.2.19: the SMSC's own alphabet, ASCII, octets, Latin 1, octets again, UCS-2.
    for (coding, wide) in [(0, false), (1, false), (2, false), (3, false), (4, false), (8, true)] {
        let number = format!("+1555010{coding}");
        desk.phone = desk.host.stranger().await?;
        let text = begin_text(&desk.phone.identity);
        let bytes: Vec<u8> =
            if wide { text.encode_utf16().flat_map(u16::to_be_bytes).collect() } else { text.into_bytes() };
        let reply = json!({
            "source_addr_ton": 1, "source_addr": number.trim_start_matches('+'), "destination_addr": NUMBER,
            "data_coding": coding, "hex": data_encoding::HEXLOWER.encode(&bytes),
        });

        ensure!(desk.smsc.deliver(&reply).await? == 0, "coding {coding} is refused");

        desk.is_registered_as(&number).await?;
    }
    Ok(())
}

/// REG-15: what a registration costs.
#[tokio::test]
async fn reg_3_each_text_of_a_registration_is_one_short_message_and_longer_ones_are_counted_by_their_parts()
-> Result<()> {
    let test =
        "reg_3_each_text_of_a_registration_is_one_short_message_and_longer_ones_are_counted_by_their_parts";
    let Some(mut desk) = Desk::open(test).await? else { return Ok(()) };
    // The longest number that there is (E.164).
    let (number, text) = ("+499876543210987", begin_text(&desk.phone.identity));
    ensure!(split(&text).parts.len() == 1 && split(&text).alphabet == Alphabet::Gsm7, "{} long", text.len());
    ensure!(desk.smsc.text(number, &text).await? == 0, "the text is refused");

    let submitted = desk.smsc.next("submitted").await?;

    let says = submitted["text"].as_str().context("no text")?;
    ensure!(submitted["coding"] == 0 && submitted["udh"].is_null() && says.len() <= 160, "{submitted}");
    let parts = "switchhook_text_parts_total";
    let counted =
        until("the count", async || Ok(desk.host.admin.metric(parts).await?.filter(|parts| *parts > 0.0)));
    ensure!((counted.await? - 1.0).abs() < 0.1);
    Ok(())
}

#[tokio::test]
async fn reg_2_a_long_text_that_comes_in_parts_of_any_order_is_one() -> Result<()> {
    let test = "reg_2_a_long_text_that_comes_in_parts_of_any_order_is_one";
    let Some(mut desk) = Desk::open(test).await? else { return Ok(()) };
    let text = begin_text(&desk.phone.identity);
    let (first, second) = text.split_at(10);
    for (number, said) in [(2, second), (1, first)] {
        ensure!(desk.smsc.deliver(&part(number, said)).await? == 0, "part {number} is refused");
    }
    desk.is_registered().await
}

#[tokio::test]
async fn reg_2_parts_of_a_text_outlive_the_host_and_are_forgotten_with_it() -> Result<()> {
    let test = "reg_2_parts_of_a_text_outlive_the_host_and_are_forgotten_with_it";
    let Some(mut desk) = Desk::open(test).await? else { return Ok(()) };
    let text = begin_text(&desk.phone.identity);
    let (first, second) = text.split_at(10);
    ensure!(desk.smsc.deliver(&part(1, first)).await? == 0, "the first part is refused");
    ensure!(desk.host.stored().await?.get("text_parts") == Some(&1), "it is not kept");

    desk.host.stop().await;
    desk.smsc.next("unbound").await?;
    desk.host.start_again().await?;
    desk.smsc.next("bound").await?;
    ensure!(desk.smsc.deliver(&part(2, second)).await? == 0, "the second part is refused");

    let submitted = desk.smsc.next("submitted").await?;
    ensure!(submitted["to"] == ALICE.trim_start_matches('+'), "{submitted}");
    ensure!(desk.host.stored().await?.get("text_parts").is_none_or(|rows| *rows == 0), "they are kept");
    Ok(())
}

#[tokio::test]
async fn reg_2_a_text_that_an_smsc_hands_in_again_is_answered_once() -> Result<()> {
    let test = "reg_2_a_text_that_an_smsc_hands_in_again_is_answered_once";
    let Some(mut desk) = Desk::open(test).await? else { return Ok(()) };
    let text = begin_text(&desk.phone.identity);
    ensure!(desk.smsc.text(ALICE, &text).await? == 0, "the text is refused");
    desk.answer_is_noted().await?;
    let before = desk.host.stored().await?;

    ensure!(desk.smsc.text(ALICE, &text).await? == 0, "the repeat is refused");

    ensure!(desk.host.stored().await? == before, "the repeat has stored something");
    Ok(())
}

#[tokio::test]
async fn reg_2_a_text_whose_answer_failed_is_heard_again() -> Result<()> {
    let test = "reg_2_a_text_whose_answer_failed_is_heard_again";
    let Some(mut desk) = Desk::open(test).await? else { return Ok(()) };
    desk.smsc.tell(&json!({ "answer": 0x0b })).await?;
    let text = begin_text(&desk.phone.identity);
    ensure!(desk.smsc.text(ALICE, &text).await? == 0, "the text is refused");
    desk.smsc.next("submitted").await?;
    until("the failure", async || {
        let person = desk.host.admin.get("person?endpoint=%2B15550100").await?;
        Ok((person["outgoing"][0]["state"] == "failed").then_some(()))
    })
    .await?;

    desk.smsc.tell(&json!({ "answer": 0 })).await?;
    desk.registers().await
}

#[tokio::test]
async fn reg_2_a_gateway_that_is_removed_is_left() -> Result<()> {
    let Some(mut desk) = Desk::open("reg_2_a_gateway_that_is_removed_is_left").await? else { return Ok(()) };
    let path = format!("gateways/{GATEWAY}");
    let (status, _) = desk.host.admin.ask_tenant(Method::DELETE, &path, None).await?;
    ensure!(status == 204, "{status}");
    desk.smsc.next("unbound").await.map(drop)
}

/// A part of a text of two, as a phone sends it.
fn part(number: u8, text: &str) -> Value {
    json!({ "source_addr_ton": 1, "source_addr": "15550100", "destination_addr": NUMBER,
        "esm_class": 0x40, "data_coding": 4, "utf8": text, "udh": format!("05000307020{number}") })
}

/// A host that is bound to an SMSC, and a phone that wants to register.
struct Desk {
    smsc: Smsc,
    host: Host,
    phone: Phone,
}

impl Desk {
    async fn open(test: &str) -> Result<Option<Self>> {
        let Some(mut smsc) = Smsc::start(test).await? else { return Ok(None) };
        let host = Host::start().await?;
        smsc.connect(&host).await?;
        let phone = host.stranger().await?;
        Ok(Some(Self { smsc, host, phone }))
    }

    /// The phone registers its number.
    async fn registers(&mut self) -> Result<()> {
        ensure!(self.smsc.text(ALICE, &begin_text(&self.phone.identity)).await? == 0, "the text is refused");
        self.is_registered().await
    }

    /// The phone gets its signature, and sends it back.
    async fn is_registered(&mut self) -> Result<()> {
        self.is_registered_as(ALICE).await
    }

    /// The same as another number's.
    async fn is_registered_as(&mut self, number: &str) -> Result<()> {
        let submitted = self.smsc.next("submitted").await?;
        ensure!(submitted["to"] == number.trim_start_matches('+') && submitted["ton"] == 1, "{submitted}");
        ensure!(submitted["from"] == NUMBER && submitted["receipt"] == 1, "{submitted}");
        keep_text(&mut self.phone.identity, submitted["text"].as_str().unwrap_or_default())
            .context("the text is no signature")?;
        let confirmed = validate(&self.phone.client, &mut self.phone.identity).await?;
        ensure!(confirmed.contains(&number.parse()?), "the number is not registered");
        Ok(())
    }

    /// The host has noted what the SMSC answered, and so how it calls the text.
    async fn answer_is_noted(&self) -> Result<()> {
        until("the note", async || {
            let noted = self.host.stored().await?.get("conversions").is_some_and(|rows| *rows > 0);
            Ok(noted.then_some(()))
        })
        .await
    }

    /// How many texts came to this.
    async fn texts(&self, outcome: &str) -> Result<Option<f64>> {
        self.host.admin.metric(&format!("switchhook_texts_total{{outcome=\"{outcome}\"}}")).await
    }
}

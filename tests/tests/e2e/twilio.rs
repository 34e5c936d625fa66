//! Registration through a gateway like Twilio, whose webhooks Twilio's own library signs.

use anyhow::{Context as _, Result, ensure};
use switchhook_client::registration::{begin_text, keep_text, validate};
use switchhook_protocol::endpoint::EndpointId;
use switchhook_tests::{
    host::Host,
    phone::Phone,
    twilio::{Form, GATEWAY, NUMBER, PUBLIC_URL, Twilio},
    waiting::until,
};

const ALICE: &str = "+15550100";

/// REG-3
#[tokio::test]
async fn reg_2_a_phone_registers_through_twilio() -> Result<()> {
    let Some(mut desk) = Desk::open("reg_2_a_phone_registers_through_twilio").await? else { return Ok(()) };

    let text = desk.register("SM100").await?;

    ensure!(text["To"] == ALICE && text["From"] == NUMBER, "{text:?}");
    let status_url = format!("{PUBLIC_URL}/v1/default/transits/{GATEWAY}/receipts?text=");
    ensure!(text["StatusCallback"].starts_with(&status_url), "{text:?}");
    keep_text(&mut desk.phone.identity, &text["Body"]).context("the text is no signature")?;
    let confirmed = validate(&desk.phone.client, &mut desk.phone.identity).await?;
    ensure!(confirmed.contains(&ALICE.parse()?), "the number is not registered");
    Ok(())
}

#[tokio::test]
async fn reg_2_twilio_tells_once_that_a_text_was_delivered() -> Result<()> {
    let Some(mut desk) = Desk::open("reg_2_twilio_tells_once_that_a_text_was_delivered").await? else {
        return Ok(());
    };
    let text = desk.register("SM100").await?;

    for (status, delivered) in
        [("sent", None), ("delivered", Some(1.0)), ("delivered", Some(1.0)), ("failed", Some(1.0))]
    {
        let answered = desk.twilio.tell(&desk.host, &text["StatusCallback"], status).await?;
        ensure!(answered == 204, "{status}: {answered}");
        ensure!(desk.texts("delivered").await? == delivered, "after {status}");
    }
    ensure!(desk.texts("failed").await?.is_none(), "what was delivered has failed");
    let arrived = "switchhook_conversions_total{calling_code=\"+1\",outcome=\"delivered\"}";
    ensure!(desk.host.admin.metric(arrived).await? == Some(1.0), "it counts for its country once");
    Ok(())
}

#[tokio::test]
async fn reg_2_a_receipt_ends_a_doubt() -> Result<()> {
    let Some(mut desk) = Desk::open("reg_2_a_receipt_ends_a_doubt").await? else { return Ok(()) };
    desk.twilio.answer(503);
    let text = desk.register("SM100").await?;
    let doubt = async || Ok((!desk.host.admin.in_doubt().await?.is_empty()).then_some(()));
    until("the doubt", doubt).await?;

    let answered = desk.twilio.tell(&desk.host, &text["StatusCallback"], "delivered").await?;

    ensure!(answered == 204, "{answered}");
    ensure!(desk.host.admin.in_doubt().await?.is_empty(), "it is still in doubt");
    Ok(())
}

#[tokio::test]
async fn reg_3_a_text_that_twilio_refuses_has_failed() -> Result<()> {
    let Some(mut desk) = Desk::open("reg_3_a_text_that_twilio_refuses_has_failed").await? else {
        return Ok(());
    };
    desk.twilio.answer(400);

    desk.register("SM100").await?;

    until("the failure", async || Ok(desk.texts("failed").await?)).await?;
    ensure!(desk.host.admin.in_doubt().await?.is_empty(), "a refusal is no doubt");
    Ok(())
}

/// A host with this gateway, and a phone that wants to register.
struct Desk {
    twilio: Twilio,
    host: Host,
    phone: Phone,
}

impl Desk {
    async fn open(test: &str) -> Result<Option<Self>> {
        let Some(twilio) = Twilio::start(test).await? else { return Ok(None) };
        let host = twilio.host().await?;
        let phone = host.stranger().await?;
        Ok(Some(Self { twilio, host, phone }))
    }

    /// The phone's text comes in; what goes out for it.
    async fn register(&mut self, id: &str) -> Result<Form> {
        let (number, text): (EndpointId, _) = (ALICE.parse()?, begin_text(&self.phone.identity));
        let (status, answer) = self.twilio.report(&self.host, id, &number, &text).await?;
        ensure!(status == 200 && answer.ends_with("<Response/>"), "{status} {answer}");
        self.twilio.next_text().await
    }

    /// How many texts came to this.
    async fn texts(&self, outcome: &str) -> Result<Option<f64>> {
        self.host.admin.metric(&format!("switchhook_texts_total{{outcome=\"{outcome}\"}}")).await
    }
}

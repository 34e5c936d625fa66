//! How often texts to the beginning of a number lead to a code that is entered: what methods hear, and operators see.

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use switchhook_built_guests as guests;
use switchhook_client::CallError;
use switchhook_protocol::registration::{RegisterBegin, RegisterCode, RegistrationProgress};
use switchhook_tests::{
    host::Host,
    phone::Phone,
    waiting::{in_time, until},
};

/// Of a block whose owner shares in the price of texts: no code comes back.
const RENTED: [&str; 4] = ["+4915112345671", "+4915112345672", "+4915112345673", "+4915112345674"];

/// Of people.
const PEOPLES: [&str; 4] = ["+16175550101", "+16175550102", "+16175550103", "+16175550104"];

#[tokio::test]
async fn reg_5_codes_that_nobody_enters_lower_a_beginnings_conversion_as_a_fact_and_as_a_metric() -> Result<()>
{
    let host = Host::start().await?;
    install(&host).await?;
    for (rented, peoples) in RENTED.iter().zip(PEOPLES).take(3) {
        begin(&host.stranger().await?, rented).await??;
        in_time("the code", host.transit.carrier.next_text(&rented.parse()?, 0)).await?;
        enters(&host, peoples).await?;
    }

    // What a gateway made of a text may be counted a moment after the text has come.
    for (calling_code, sent, proven) in [("+49", 3.0, None), ("+1", 3.0, Some(3.0))] {
        let count = async |outcome: &str| {
            let name = format!(
                "switchhook_conversions_total{{calling_code=\"{calling_code}\",outcome=\"{outcome}\"}}"
            );
            host.admin.metric(&name).await
        };
        until("the count", async || Ok(count("sent").await?.filter(|count| *count >= sent))).await?;
        ensure!(count("proven").await? == proven, "{calling_code}");
    }
    // The fact is stored before the metric counts, or a moment after it.
    let rented = RENTED[3];
    let refused = until("the refusal", async || Ok(begin(&host.stranger().await?, rented).await?.err()));
    let CallError::Refused(refused) = refused.await? else { anyhow::bail!("it is not refused") };
    ensure!(refused.message.contains("none proven"), "{refused:?}");
    enters(&host, PEOPLES[3]).await
}

/// Makes the guest that texts only to where codes come back from a method of the tenant.
async fn install(host: &Host) -> Result<()> {
    let method = "registration-method/asks-conversions";
    let (status, uploaded) = host.admin.upload(method, guests::ASKS_CONVERSIONS.to_vec()).await?;
    ensure!(status.is_success(), "{status} {uploaded}");
    let active = json!({ "version": uploaded["version"], "configuration": {} });
    host.admin.changed(method, "activate", &active).await.map(drop)
}

/// Somebody types a number, and the code that comes there.
async fn enters(host: &Host, number: &str) -> Result<()> {
    let phone = host.stranger().await?;
    let progress = begin(&phone, number).await??;
    let RegistrationProgress::CodeSent { attempt, .. } = progress else { anyhow::bail!("{progress:?}") };
    let text = in_time("the code", host.transit.carrier.next_text(&number.parse()?, 0)).await?;
    let code = text.split(' ').next().context("no code")?.to_owned();
    in_time("the answer", phone.client.register_code(&RegisterCode { attempt, code })).await??;
    ensure!(phone.registrations().await? == [number.parse()?]);
    Ok(())
}

async fn begin(phone: &Phone, number: &str) -> Result<Result<RegistrationProgress, CallError>> {
    let fields = [("number".to_owned(), number.to_owned())].into();
    let begin = RegisterBegin { method: "asks-conversions".parse()?, fields };
    in_time("the answer", phone.client.register_begin(&begin)).await
}

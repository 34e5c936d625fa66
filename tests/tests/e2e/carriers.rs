//! Which number a client texts, by its SIM's carrier.

use anyhow::{Context as _, Result, ensure};
use reqwest::{
    Client, Method, StatusCode,
    header::{ETAG, IF_NONE_MATCH},
};
use serde_json::json;
use switchhook_protocol::carrier::{CarrierBundle, Sim};
use switchhook_tests::host::Host;

#[tokio::test]
async fn reg_15_a_client_stores_the_carrier_bundle_and_picks_the_number_by_its_sim() -> Result<()> {
    let host = Host::start().await?;
    let carriers = json!([
        { "number": "+15550199" }, { "country": "DE", "number": "70470" },
        { "mcc": "262", "mnc": "02", "number": "70472" },
    ]);
    let (status, set) = put(&host, json!({ "carriers": carriers })).await?;
    ensure!(status == StatusCode::OK && set["version"] == 1, "{status} {set}");

    let (stored, tag) = bundle(&host, "").await?;
    let sim = |mcc: &str, mnc: &str| Sim { mcc: Some(mcc.into()), mnc: Some(mnc.into()), country: None };
    ensure!(stored.number(&sim("262", "02")) == Some("70472"));
    ensure!(stored.number(&sim("310", "410")) == Some("+15550199"));
    ensure!(asked(&host, "", Some(&tag)).await?.status() == StatusCode::NOT_MODIFIED);

    let (one, _) = bundle(&host, "?mcc=262&mnc=02").await?;
    ensure!(one.version == 1 && one.carriers.len() == 1, "{one:?}");
    ensure!(one.number(&sim("262", "02")) == Some("70472"));
    let (country, _) = bundle(&host, "?country=DE").await?;
    ensure!(country.carriers.iter().any(|carrier| carrier.number == "70470"), "{country:?}");

    put(&host, json!({ "carriers": [] })).await?;
    let newer = asked(&host, "", Some(&tag)).await?;
    ensure!(newer.status() == StatusCode::OK, "a stored bundle is taken for the newest");
    ensure!(newer.json::<CarrierBundle>().await? == CarrierBundle { version: 2, carriers: vec![] });
    Ok(())
}

#[tokio::test]
async fn reg_15_a_bundle_that_is_wrong_is_refused_and_nothing_is_stored() -> Result<()> {
    let host = Host::start().await?;
    let before = host.stored().await?;
    for wrong in [
        json!({}),
        json!({ "carriers": [{ "mcc": "262" }] }),
        json!({ "carriers": [{ "mnc": "02", "number": "70470" }] }),
        json!({ "carriers": [{ "country": "Germany", "number": "70470" }] }),
        json!({ "carriers": [{ "number": "SWITCHHOOK" }] }),
        json!({ "carriers": [{ "contry": "DE", "number": "70470" }] }),
    ] {
        let (status, problem) = put(&host, wrong.clone()).await?;
        ensure!(problem["code"] == "malformed", "{wrong}: {status} {problem}");
    }
    ensure!(host.stored().await? == before, "something is stored");
    Ok(())
}

async fn put(host: &Host, bundle: serde_json::Value) -> Result<switchhook_tests::admin::Answer> {
    host.admin.ask_tenant(Method::PUT, "carriers", Some(&bundle)).await
}

/// The bundle, and its entity tag.
async fn bundle(host: &Host, query: &str) -> Result<(CarrierBundle, String)> {
    let answer = asked(host, query, None).await?;
    let tag = answer.headers().get(ETAG).context("no entity tag")?.to_str()?.to_owned();
    Ok((answer.json().await?, tag))
}

async fn asked(host: &Host, query: &str, known: Option<&str>) -> Result<reqwest::Response> {
    let url = format!("http://{}/v1/default/carriers{query}", host.addresses().http);
    let request = Client::new().get(url);
    let request = if let Some(tag) = known { request.header(IF_NONE_MATCH, tag) } else { request };
    Ok(request.send().await?)
}

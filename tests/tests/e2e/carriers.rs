//! Which number a client texts, by its SIM's carrier.

use anyhow::{Context as _, Result, ensure};
use reqwest::{
    Client as Http, Method, StatusCode,
    header::{ETAG, IF_NONE_MATCH},
};
use serde_json::json;
use switchhook_client::{
    Client, carriers,
    identity::{DeviceKey, Identity},
};
use switchhook_protocol::carrier::{CarrierBundle, Carriers, Sim};
use switchhook_server::SANDBOX_NUMBER;
use switchhook_tests::{
    host::{Host, client_settings},
    python::Python,
    signed::Signer,
    waiting::in_time,
};

#[tokio::test]
async fn reg_15_a_client_stores_the_carrier_bundle_and_picks_the_number_by_its_sim() -> Result<()> {
    let host = Host::start().await?;
    let carriers = json!([
        { "number": "+15550199" }, { "country": "DE", "number": "70470" },
        { "mcc": "262", "mnc": "02", "number": "70472" },
    ]);
    let (status, set) = put(&host, json!({ "carriers": carriers })).await?;
    // The first is the sandbox's.
    ensure!(status == StatusCode::OK && set["version"] == 2, "{status} {set}");

    let (stored, tag) = bundle(&host, "").await?;
    ensure!(stored.number(&sim("262", "02")) == Some("70472"));
    ensure!(stored.number(&sim("310", "410")) == Some("+15550199"));
    ensure!(asked(&host, "", Some(&tag)).await?.status() == StatusCode::NOT_MODIFIED);

    let (one, _) = bundle(&host, "?mcc=262&mnc=02").await?;
    ensure!(one.version == 2 && one.carriers.len() == 1, "{one:?}");
    ensure!(one.number(&sim("262", "02")) == Some("70472"));
    let (country, _) = bundle(&host, "?country=DE").await?;
    ensure!(country.carriers.iter().any(|carrier| carrier.number == "70470"), "{country:?}");

    put(&host, json!({ "carriers": [] })).await?;
    let newer = asked(&host, "", Some(&tag)).await?;
    ensure!(newer.status() == StatusCode::OK, "a stored bundle is taken for the newest");
    ensure!(newer.json::<CarrierBundle>().await? == CarrierBundle { version: 3, carriers: vec![] });
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

#[tokio::test]
async fn reg_15_a_new_device_knows_whom_to_text_before_it_ever_connects() -> Result<()> {
    let host = Host::start().await?;
    let carriers = json!([{ "number": "+15550199" }, { "mcc": "262", "mnc": "02", "number": "70472" }]);
    put(&host, json!({ "carriers": carriers })).await?;

    let identity = enrolled(&host).await?;
    // What the application stores is all that it needs, with the host away too.
    let stored = serde_json::to_string(&identity)?;
    let identity: Identity = serde_json::from_str(&stored)?;
    let carriers = &identity.carriers;
    ensure!(carriers.version == 2 && carriers.number(&sim("262", "02")) == Some("70472"), "{carriers:?}");
    ensure!(carriers.number(&sim("310", "410")) == Some("+15550199"), "{carriers:?}");

    put(&host, json!({ "carriers": [] })).await?;
    let newer = enrolled(&host).await?.carriers;
    ensure!(newer == CarrierBundle { version: 3, carriers: vec![] }, "{newer:?}");
    Ok(())
}

#[tokio::test]
async fn reg_15_a_device_asks_for_a_newer_bundle_and_goes_on_with_the_one_that_it_has() -> Result<()> {
    let mut host = Host::start().await?;
    let phone = host.stranger().await?;
    let (client, mut identity) = (&phone.client, phone.identity.clone());
    ensure!(identity.carriers.number(&sim("262", "02")) == Some(SANDBOX_NUMBER), "{identity:?}");
    ensure!(!in_time("the answer", carriers::renew(client, &mut identity)).await??, "it has the newest");

    put(&host, json!({ "carriers": [{ "country": "DE", "number": "70470" }] })).await?;
    ensure!(in_time("the answer", carriers::renew(client, &mut identity)).await??, "it has an old one");
    let newer = CarrierBundle { version: 2, ..identity.carriers.clone() };
    ensure!(identity.carriers == newer && newer.carriers.len() == 1, "{newer:?}");
    ensure!(!in_time("the answer", carriers::renew(client, &mut identity)).await??, "it is told twice");

    // A backup may have brought an older one back; whoever has none asks with 0.
    for held in [0, 9] {
        let present = in_time("the answer", client.carriers(&Carriers { held })).await??;
        ensure!(present.bundle.as_ref() == Some(&newer), "{held}: {present:?}");
    }

    // Without a connection the stored one counts.
    host.stop().await;
    ensure!(identity.carriers.number(&Sim { country: Some("DE".into()), ..Sim::default() }) == Some("70470"));
    Ok(())
}

#[tokio::test]
async fn reg_15_a_tenant_without_a_bundle_gives_none_and_a_request_without_a_socket_asks_too() -> Result<()> {
    let test = "reg_15_a_tenant_without_a_bundle_gives_none_and_a_request_without_a_socket_asks_too";
    let Some(python) = Python::of(test) else { return Ok(()) };
    let host = Host::start().await?;
    host.admin.at("acme").create_tenant().await?;
    let settings = client_settings(host.addresses().http, "acme", "phone")?;
    let key = DeviceKey::generate(&mut rand::rng());
    let identity = in_time("enrolment", Client::enrol(&settings, key)).await??;
    ensure!(identity.carriers == CarrierBundle::default(), "{identity:?}");

    let signer = Signer::new(&python, host.addresses().http, "acme", &identity)?;
    ensure!(signer.ask(&Carriers::default()).await?.bundle.is_none());
    let bundle = json!({ "carriers": [{ "number": "70471" }] });
    host.admin.at("acme").ask_tenant(Method::PUT, "carriers", Some(&bundle)).await?;
    let present = signer.ask(&Carriers::default()).await?.bundle;
    ensure!(present.is_some_and(|bundle| bundle.number(&Sim::default()) == Some("70471")));
    Ok(())
}

fn sim(mcc: &str, mnc: &str) -> Sim {
    Sim { mcc: Some(mcc.into()), mnc: Some(mnc.into()), country: None }
}

async fn enrolled(host: &Host) -> Result<Identity> {
    let key = DeviceKey::generate(&mut rand::rng());
    Ok(in_time("enrolment", Client::enrol(&host.client_settings("phone")?, key)).await??)
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
    let request = Http::new().get(url);
    let request = if let Some(tag) = known { request.header(IF_NONE_MATCH, tag) } else { request };
    Ok(request.send().await?)
}

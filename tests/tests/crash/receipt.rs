//! The process dies while a method hears that its text has arrived.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use reqwest::{Client, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};
use switchhook_built_guests as guests;
use switchhook_core::transit::{SIGNATURE_HEADER, sign};
use switchhook_protocol::{endpoint::EndpointId, registration::RegisterBegin};
use switchhook_server::{DEFAULT_TENANT, SANDBOX};
use switchhook_tests::{
    phone::Phone,
    waiting::{in_time, now, until},
};

use crate::stage::{PROGRAM, Stage};

const NUMBER: &str = "+15550100";

/// What the method texts when it has heard.
const THEN: &str = "+15550101";

#[tokio::test]
async fn reg_5_a_receipt_is_heard_by_the_method_although_the_process_dies_of_it() -> Result<()> {
    let mut stage = Stage::start(PROGRAM).await?;
    install(&stage).await?;
    let phone = stage.phone().await?;
    stage.transit.carrier.refuse(Some(503));
    begin(&phone).await?;
    let text = until("the doubt", async || Ok(stage.admin.in_doubt().await?.pop())).await?;
    stage.transit.carrier.refuse(None);

    stage.process.arm("commit.register-sent.before").await?;
    ensure!(deliver(&stage, &text).await.is_err(), "the receipt was answered");
    stage.process.ended().await?;
    stage.again().await?;
    ensure!(deliver(&stage, &text).await? == StatusCode::NO_CONTENT);

    let then: EndpointId = THEN.parse()?;
    in_time("what follows", stage.transit.carrier.next_text(&then, 0)).await?;
    // A repeat counts no more.
    ensure!(deliver(&stage, &text).await? == StatusCode::NO_CONTENT);
    ensure!(stage.transit.count(&then) == 1 && stage.transit.count(&NUMBER.parse()?) == 0);
    Ok(())
}

/// A method that texts [`THEN`] when [`NUMBER`] has its text.
async fn install(stage: &Stage) -> Result<()> {
    let method = "registration-method/texts-on";
    let (status, uploaded) = stage.admin.upload(method, guests::TEXTS_ON.to_vec()).await?;
    ensure!(status.is_success(), "{status} {uploaded}");
    let version = uploaded.get("version").cloned().unwrap_or(Value::Null);
    stage.admin.changed(method, "activate", &json!({ "version": version, "configuration": {} })).await?;
    Ok(())
}

async fn begin(phone: &Phone) -> Result<()> {
    let fields = [("number", NUMBER), ("then", THEN)];
    let fields: BTreeMap<_, _> = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let begin = RegisterBegin { method: "texts-on".parse()?, fields };
    in_time("the answer", phone.client.register_begin(&begin)).await??;
    Ok(())
}

/// The gateway says that a text has arrived.
async fn deliver(stage: &Stage, text: &str) -> Result<StatusCode> {
    let url = format!("http://{}/v1/{DEFAULT_TENANT}/transits/{SANDBOX}/receipts", stage.process.http);
    let body = json!({ "id": text, "outcome": "delivered" }).to_string();
    let signature = sign(stage.transit.secret.as_bytes(), body.as_bytes(), now());
    let request = Client::new().post(url).header(CONTENT_TYPE, "application/json");
    let answer = request.header(SIGNATURE_HEADER, signature).body(body).send();
    Ok(in_time("the answer", answer).await??.status())
}

//! Which gateway a text goes out by, and who gets none.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use switchhook_built_guests as guests;
use switchhook_client::{CallError, registration::begin_text};
use switchhook_protocol::{
    error::ErrorCode,
    registration::{RegisterBegin, RegisterCode, RegistrationProgress},
    time::millis,
};
use switchhook_server::{NotTaken, TextAccepted};
use switchhook_tests::{
    host::{Host, Transit, tenant},
    phone::{Phone, refusal},
    waiting::{GUARD, in_time, now, until},
};

const BERLIN: &str = "+4915112345678";
const BOSTON: &str = "+16175550100";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A day in milliseconds.
const DAY: u64 = 86_400_000;

/// Lets no entry of the outbox end as sent.
const FULL: &str = "CREATE TRIGGER full BEFORE UPDATE OF state ON outbox WHEN NEW.state = 'sent' \
     BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";

/// Lets no method hear anything.
const DEAF: &str =
    "CREATE TRIGGER deaf BEFORE UPDATE ON attempts BEGIN SELECT RAISE(ABORT, 'the disk is full'); END";

#[tokio::test]
async fn reg_5_a_text_goes_by_the_gateway_that_serves_its_number() -> Result<()> {
    let host = Host::start().await?;
    let germany = gateway(&host, "germany", &["+49"]).await?;
    let phone = host.stranger().await?;

    for (number, by) in [(BERLIN, &germany), (BOSTON, &host.transit)] {
        let attempt = begin(&phone, number).await?;
        let text = in_time("the code", by.carrier.next_text(&number.parse()?, 0)).await?;
        let code = text.split(' ').next().context("no code")?.to_owned();
        let registered =
            in_time("the answer", phone.client.register_code(&RegisterCode { attempt, code })).await??;
        ensure!(matches!(registered, RegistrationProgress::Registered { .. }), "{registered:?}");
    }
    ensure!(host.transit.count(&BERLIN.parse()?) == 0 && germany.count(&BOSTON.parse()?) == 0);
    Ok(())
}

#[tokio::test]
async fn reg_5_a_gateway_that_refuses_loses_against_another() -> Result<()> {
    let host = Host::start().await?;
    let first = gateway(&host, "a-first", &[]).await?;
    first.carrier.refuse(Some(422));
    let mut phone = host.stranger().await?;

    let attempt = begin(&phone, BOSTON).await?;
    let notice = phone.expect_notice().await?;
    ensure!((notice.attempt, notice.word.as_str()) == (attempt, "text-not-sent"), "it is waited for");
    let failed = "switchhook_texts_total{outcome=\"failed\"}";
    until("the failure", async || host.admin.metric(failed).await).await?;
    begin(&phone, BERLIN).await?;
    until("how it fares in one country says nothing about another", async || {
        Ok(host.admin.metric(failed).await?.filter(|failures| *failures >= 2.0))
    })
    .await?;
    begin(&phone, BOSTON).await?;

    in_time("the code", host.transit.carrier.next_text(&BOSTON.parse()?, 0)).await?;
    ensure!(first.count(&BOSTON.parse()?) == 0);
    Ok(())
}

#[tokio::test]
async fn reg_5_a_number_that_no_gateway_serves_is_refused_and_nothing_is_stored() -> Result<()> {
    let host = Host::start().await?;
    let provider = json!({ "kind": "webhook", "send_url": host.transit.send_url });
    let sandbox = json!({ "number": "70470", "provider": provider, "secret": SECRET, "serves": ["+1"] });
    let (status, _) = host.admin.ask_tenant(Method::PUT, "gateways/sandbox", Some(&sandbox)).await?;
    ensure!(status.is_success(), "{status}");
    let phone = host.stranger().await?;
    let before = host.stored().await?;

    let refused = in_time("the answer", phone.client.register_begin(&request(BERLIN))).await?;

    ensure!(refusal(refused)? == ErrorCode::NoGateway);
    ensure!(host.stored().await? == before, "something is stored");
    Ok(())
}

#[tokio::test]
async fn reg_5_what_follows_a_typed_numbers_text_is_no_answer_and_goes_by_a_gateway_of_its_own() -> Result<()>
{
    let host = Host::start().await?;
    let germany = gateway(&host, "germany", &["+49"]).await?;
    let method = "registration-method/texts-on";
    let (status, uploaded) = host.admin.upload(method, guests::TEXTS_ON.to_vec()).await?;
    ensure!(status.is_success(), "{status} {uploaded}");
    let active = json!({ "version": uploaded["version"], "configuration": {} });
    host.admin.changed(method, "activate", &active).await?;
    let phone = host.stranger().await?;

    let fields = [("number", BERLIN), ("then", BOSTON)];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let begin = RegisterBegin { method: "texts-on".parse()?, fields };
    in_time("the answer", phone.client.register_begin(&begin)).await??;

    in_time("the text", germany.carrier.next_text(&BERLIN.parse()?, 0)).await?;
    in_time("what follows it", host.transit.carrier.next_text(&BOSTON.parse()?, 0)).await?;
    ensure!(germany.count(&BOSTON.parse()?) == 0);
    Ok(())
}

#[tokio::test]
async fn a_gateway_inside_the_operators_network_is_refused_unless_the_operator_allows_it() -> Result<()> {
    let host = Host::start().await?;
    let set = async |name: &str, provider: Value, secret: &str| {
        let gateway = json!({ "number": "70472", "provider": provider, "secret": secret });
        host.admin.ask_tenant(Method::PUT, &format!("gateways/{name}"), Some(&gateway)).await
    };
    let webhook = |url: &str| json!({ "kind": "webhook", "send_url": url });
    let smsc = json!({ "kind": "smpp", "address": "10.1.2.3:2775", "system_id": "switchhook" });
    for (provider, secret) in [
        (webhook("http://169.254.169.254/latest"), SECRET),
        (webhook("http://10.1.2.3/texts"), SECRET),
        (smsc, "secret08"),
    ] {
        let (status, body) = set("inside", provider, secret).await?;
        ensure!(status == 400 && body["code"] == "malformed", "{status} {body}");
    }
    let (status, body) = set("here", webhook("http://127.0.0.1:9/texts"), SECRET).await?;
    ensure!(status.is_success(), "the host of tests allows loopback: {status} {body}");
    Ok(())
}

#[tokio::test]
async fn a_text_by_a_gateway_whose_name_leads_inside_has_failed() -> Result<()> {
    let mut host = Host::start().await?;
    let inside = host.transit.send_url.replace("127.0.0.1", "localhost");
    host.admin.put_gateway(&inside, SECRET).await?;
    host.stop().await;
    host.start_with(|settings| settings.gateways.allow_loopback = false).await?;
    let phone = host.stranger().await?;

    begin(&phone, BOSTON).await?;

    let failed = "switchhook_texts_total{outcome=\"failed\"}";
    until("the failure", async || host.admin.metric(failed).await).await?;
    ensure!(host.transit.count(&BOSTON.parse()?) == 0, "it was texted");
    Ok(())
}

#[tokio::test]
async fn reg_5_texts_of_a_day_end_at_the_tenants_cap() -> Result<()> {
    let host = Host::start().await?;
    policy(&host, &json!({ "per_day": 1 })).await?;
    let phone = host.stranger().await?;
    until("a day that does not end meanwhile", async || {
        Ok((now().as_millis() % DAY < DAY - millis(GUARD)).then_some(()))
    })
    .await?;
    begin(&phone, BOSTON).await?;
    let before = until("what its gateway made of the text", async || {
        let stored = host.stored().await?;
        Ok((stored.get("conversions") == Some(&1)).then_some(stored))
    })
    .await?;

    let refused = in_time("the answer", phone.client.register_begin(&request(BERLIN))).await?;

    ensure!(wait_of(refused)? > 0, "it does not say when to try again");
    ensure!(host.stored().await? == before && host.transit.count(&BERLIN.parse()?) == 0);
    Ok(())
}

#[tokio::test]
async fn a_gateway_keeps_its_secret_where_it_was_and_takes_it_nowhere_else() -> Result<()> {
    let host = Host::start().await?;
    let set =
        async |gateway: Value| host.admin.ask_tenant(Method::PUT, "gateways/kept", Some(&gateway)).await;
    let webhook = |url: &str, serves: &[&str]| {
        let provider = json!({ "kind": "webhook", "send_url": url });
        json!({ "number": "70473", "provider": provider, "serves": serves })
    };
    let (_, made) = set(webhook("https://sms.example/texts", &[])).await?;
    ensure!(made["secret"].is_string(), "{made}");
    let (status, kept) = set(webhook("https://sms.example/texts", &["+49"])).await?;
    ensure!(status.is_success() && kept.get("secret").is_none(), "{status} {kept}");
    let (_, elsewhere) = set(webhook("https://other.example/texts", &["+49"])).await?;
    ensure!(elsewhere["secret"].is_string() && elsewhere["secret"] != made["secret"], "{elsewhere}");

    let smsc = |port: u16, secret: Option<&str>| {
        let address = format!("127.0.0.1:{port}");
        let provider = json!({ "kind": "smpp", "address": address, "system_id": "switchhook" });
        json!({ "number": "70473", "provider": provider, "secret": secret })
    };
    for (gateway, taken) in [
        (smsc(9, None), false),
        (smsc(9, Some("secret08")), true),
        (smsc(9, None), true),
        (smsc(19, None), false),
    ] {
        let (status, body) = set(gateway).await?;
        ensure!(status.is_success() == taken, "{status} {body}");
    }
    Ok(())
}

#[tokio::test]
async fn reg_5_numbers_of_other_countries_than_the_tenants_are_not_texted() -> Result<()> {
    let host = Host::start().await?;
    policy(&host, &json!({ "countries": ["+1"] })).await?;
    let phone = host.stranger().await?;
    let before = host.stored().await?;

    let refused = in_time("the answer", phone.client.register_begin(&request(BERLIN))).await?;

    ensure!(refusal(refused)? == ErrorCode::NotTexted);
    ensure!(host.stored().await? == before, "something is stored");
    begin(&phone, BOSTON).await.map(drop)
}

/// A typed number that no plan has is refused before it is texted; who texts has a number.
#[tokio::test]
async fn reg_5_numbers_that_no_country_has_are_not_texted_where_the_tenant_says_so() -> Result<()> {
    let host = Host::start().await?;
    policy(&host, &json!({ "only_valid": true })).await?;
    let phone = host.stranger().await?;
    let before = host.stored().await?;

    for invalid in ["+15550100", "+4915", "+441234", "+99912345678", "+861381234", "+5511812345678901"] {
        let refused = in_time("the answer", phone.client.register_begin(&request(invalid))).await?;
        let code = refusal(refused)?;
        let expected = if invalid.len() < 8 || invalid.len() > 16 {
            // The method's own word: these are not even of the form.
            ErrorCode::RegistrationRefused
        } else {
            ErrorCode::NotTexted
        };
        ensure!(code == expected, "{invalid}: {code}");
    }
    let mut after = host.stored().await?;
    after.remove("plugin_lines");
    let mut before = before;
    before.remove("plugin_lines");
    ensure!(after == before, "something is stored");
    for valid in [BERLIN, "+442071838750", "+5511961234567"] {
        begin(&phone, valid).await?;
    }
    host.phone("+15550100").await.map(drop)
}

#[tokio::test]
async fn reg_5_a_device_that_types_one_number_after_the_other_is_told_to_wait_and_others_are_not()
-> Result<()> {
    let host = Host::start().await?;
    let (greedy, other) = (host.stranger().await?, host.stranger().await?);
    let mut refused = None;
    for number in 0..40 {
        let request = request(&format!("+1617555{number:02}00"));
        let answer = in_time("the answer", greedy.client.register_begin(&request)).await?;
        if answer.is_err() {
            refused = Some(wait_of(answer)?);
            break;
        }
    }
    ensure!(refused.is_some_and(|wait| wait > 0), "it is never told to wait");
    begin(&other, BOSTON).await.map(drop)
}

/// REG-3
#[tokio::test]
async fn reg_5_the_end_of_a_text_that_could_not_be_stored_is_stored_later() -> Result<()> {
    let mut host = Host::start().await?;
    host.stop().await;
    ask(&host, FULL).await?;
    host.start_again().await?;
    let phone = host.stranger().await?;
    for number in [BOSTON, BERLIN] {
        begin(&phone, number).await?;
        in_time("the text", host.transit.carrier.next_text(&number.parse()?, 0)).await?;
    }

    ask(&host, "DROP TRIGGER full").await?;

    until("the end of both", async || {
        let ended = ask(&host, "SELECT entry FROM outbox WHERE state = 'sent'").await?;
        Ok((ended == 2).then_some(()))
    })
    .await
}

/// REG-3
#[tokio::test]
async fn reg_5_a_method_hears_what_came_of_its_text_though_it_could_not_be_stored_at_first() -> Result<()> {
    let mut host = Host::start().await?;
    host.stop().await;
    ask(&host, DEAF).await?;
    host.start_again().await?;
    let phone = host.stranger().await?;
    begin(&phone, BOSTON).await?;
    until("the note of the text", async || {
        Ok((ask(&host, "SELECT hour FROM conversions").await? == 1).then_some(()))
    })
    .await?;

    ask(&host, "DROP TRIGGER deaf").await?;

    until("what the method hears", async || {
        let heard = ask(&host, "SELECT attempt FROM attempts WHERE version = 2").await?;
        Ok((heard == 1).then_some(()))
    })
    .await?;
    ensure!(ask(&host, "SELECT entry FROM outbox WHERE state = 'sent'").await? == 1);
    Ok(())
}

#[tokio::test]
async fn reg_5_a_number_with_a_zero_of_calls_at_home_is_refused_and_nothing_is_stored() -> Result<()> {
    let host = Host::start().await?;
    let phone = host.stranger().await?;
    let before = host.stored().await?;
    for typed in ["+49 (0)151 12345678", "+44 (0)20 7946 0958"] {
        let refused = in_time("the answer", phone.client.register_begin(&request(typed))).await?;
        ensure!(refusal(refused)? == ErrorCode::InvalidNumber, "{typed}");
    }
    ensure!(host.stored().await? == before, "something is stored");
    begin(&phone, BERLIN).await.map(drop)
}

/// REG-3
#[tokio::test]
async fn reg_11_a_text_outlives_its_attempt_and_is_shown_and_erased_with_its_person() -> Result<()> {
    let host = Host::start().await?;
    let phone = host.stranger().await?;
    for number in [BOSTON, BERLIN] {
        begin(&phone, number).await?;
    }
    ensure!(host.stored().await?.get("outbox") == Some(&2));
    // As sweeps do, some minutes later.
    for table in ["DELETE FROM deadlines", "DELETE FROM secrets", "DELETE FROM attempts"] {
        ask(&host, table).await?;
    }
    let path = "person?endpoint=%2B16175550100";
    let shown = host.admin.get(path).await?;
    ensure!(shown["outgoing"][0]["kind"] == "text" && shown["outgoing"][0]["state"] == "sent", "{shown}");

    let (status, _) = host.admin.ask_tenant(Method::DELETE, path, None).await?;

    ensure!(status.is_success() && host.admin.get(path).await?["outgoing"] == json!([]), "{status}");
    ensure!(host.stored().await?.get("outbox") == Some(&1), "another's is gone");
    Ok(())
}

/// Asks the host's database from outside; how many rows it answers.
async fn ask(host: &Host, statement: &'static str) -> Result<usize> {
    let options = SqliteConnectOptions::new().filename(host.data().join("switchhook.db"));
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let rows = sqlx::query(statement).fetch_all(&mut connection).await?.len();
    connection.close().await?;
    Ok(rows)
}

/// REG-2
#[tokio::test]
async fn reg_3_whoever_texts_stop_gets_no_texts_until_start() -> Result<()> {
    let host = Host::start().await?;
    let (carrier, number) = (&host.transit.carrier, BOSTON.parse()?);
    let mut phone = host.stranger().await?;
    ensure!(carrier.text(&number, "Stop").await? == TextAccepted::Wish { opted_out: true });

    // Who types the number is answered as for any other, and the operator sees that nothing was sent.
    let typed = in_time("the answer", phone.client.register_begin(&request(BOSTON))).await??;
    ensure!(matches!(typed, RegistrationProgress::CodeSent { .. }), "{typed:?}");
    until("the text that is not sent", async || {
        let not_sent = host.admin.metric("switchhook_texts_opted_out_total").await?;
        Ok((not_sent == Some(1.0)).then_some(()))
    })
    .await?;
    // A number without a gateway is told of; had this one been, it would have been before.
    carrier.refuse(Some(422));
    begin(&phone, BERLIN).await?;
    let RegistrationProgress::CodeSent { attempt: wished, .. } = typed else { anyhow::bail!("no code") };
    ensure!(phone.expect_notice().await?.attempt != wished, "the wish is told");
    carrier.refuse(None);
    match carrier.text(&number, &begin_text(&phone.identity)).await {
        Err(NotTaken::Refused(body)) => ensure!(body.code == ErrorCode::OptedOut, "{body:?}"),
        other => anyhow::bail!("{other:?}"),
    }
    ensure!(host.transit.count(&number) == 0, "it was texted");

    ensure!(carrier.text(&number, "START").await? == TextAccepted::Wish { opted_out: false });
    phone.register(carrier, &number).await
}

#[tokio::test]
async fn reg_3_a_text_that_waited_while_its_owner_texted_stop_is_not_sent() -> Result<()> {
    let host = Host::start().await?;
    let (carrier, number) = (&host.transit.carrier, BOSTON.parse()?);
    let phone = host.stranger().await?;
    carrier.refuse(Some(503));
    begin(&phone, BOSTON).await?;
    let text = until("the doubt", async || Ok(host.admin.in_doubt().await?.pop())).await?;
    carrier.refuse(None);
    ensure!(carrier.text(&number, "Stop").await? == TextAccepted::Wish { opted_out: true });

    let status = host.admin.resend(&text).await?;

    ensure!(status.is_success(), "{status}");
    let failed = "switchhook_texts_total{outcome=\"failed\"}";
    until("the failure", async || host.admin.metric(failed).await).await?;
    ensure!(host.transit.count(&number) == 0, "it was texted");
    Ok(())
}

async fn policy(host: &Host, policy: &Value) -> Result<()> {
    let (status, shown) = host.admin.ask_tenant(Method::PUT, "text-policy", Some(policy)).await?;
    ensure!(status.is_success(), "{status} {shown}");
    Ok(())
}

/// How long a request that came too often is told to wait, in milliseconds.
fn wait_of(answer: Result<RegistrationProgress, CallError>) -> Result<u64> {
    match answer {
        Err(CallError::Refused(body)) if body.code == ErrorCode::RateLimited => {
            body.retry_after_ms.context("it does not say how long")
        }
        other => anyhow::bail!("{other:?}"),
    }
}

/// Another gateway of the first tenant.
async fn gateway(host: &Host, name: &str, serves: &[&str]) -> Result<Transit> {
    let transit = Transit::start(host.addresses().http, &tenant("default")?, SECRET).await?;
    let provider = json!({ "kind": "webhook", "send_url": transit.send_url });
    let gateway = json!({ "number": "70471", "provider": provider, "secret": SECRET, "serves": serves });
    let path = format!("gateways/{name}");
    let (status, shown) = host.admin.ask_tenant(Method::PUT, &path, Some(&gateway)).await?;
    ensure!(status.is_success(), "{status} {shown}");
    Ok(transit)
}

/// Begins a registration by a typed number.
async fn begin(phone: &Phone, number: &str) -> Result<switchhook_protocol::id::AttemptId> {
    let progress = in_time("the answer", phone.client.register_begin(&request(number))).await??;
    let RegistrationProgress::CodeSent { attempt, .. } = progress else { anyhow::bail!("{progress:?}") };
    Ok(attempt)
}

fn request(number: &str) -> RegisterBegin {
    let fields = BTreeMap::from([("number".to_owned(), number.to_owned())]);
    RegisterBegin { method: "register-phone-entry".parse().unwrap(), fields }
}

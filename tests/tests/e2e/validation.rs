//! Validation of mail addresses as a service of its own: no device, no method, no registration (REG-18).

use anyhow::{Context as _, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use switchhook_client::mailbox::Expected;
use switchhook_protocol::{endpoint::EndpointId, error::ErrorCode};
use switchhook_tests::{dovecot::Dovecot, host::Host, phone::refusal, smtp::SENDER};

use crate::{
    mail::{Desk, post},
    open::{Answered, Application, token},
};

const BOB: &str = "bob@example.com";
const ANNE: &str = "anne@example.com";

fn path(name: &str) -> String {
    format!("/v1/default/applications/crm/validations/{name}")
}

fn statuses(answers: &[Answered]) -> Vec<u64> {
    answers.iter().map(|(status, _)| *status).collect()
}

#[tokio::test]
async fn reg_18_a_service_asks_for_an_address_and_learns_that_its_mail_was_read() -> Result<()> {
    let test = "reg_18_a_service_asks_for_an_address_and_learns_that_its_mail_was_read";
    let Some(mut desk) = Desk::start(test).await? else { return Ok(()) };
    let Some(crm) = Application::of(test, &desk.host) else { return Ok(()) };
    let (own, of_game) = (token(&desk.host.admin, "crm").await?, token(&desk.host.admin, "game").await?);
    let (order, other, body) = (path("order-4711"), path("order-4712"), json!({ "address": BOB }));

    let asked = crm
        .ask(&[
            (&of_game, "PUT", &order, body.clone()),
            (&own, "PUT", &order, json!({ "address": "+15550100" })),
            (&own, "GET", &order, Value::Null),
            (&own, "PUT", &order, body.clone()),
            (&own, "PUT", &order, body.clone()),
            (&own, "PUT", &order, json!({ "address": ANNE })),
            (&of_game, "GET", &order, Value::Null),
            (&own, "GET", &order, Value::Null),
        ])
        .await?;
    assert_eq!(statuses(&asked), [403, 400, 404, 201, 200, 409, 403, 200]);
    assert_eq!(asked[5].1["code"], "conflict");
    assert_eq!((&asked[7].1["state"], &asked[7].1["address"]), (&json!("waiting"), &json!(BOB)));

    let mail = desk.smtp.next_mail().await?;
    ensure!(mail.to == [BOB]);
    let token = mail.token()?;
    let (status, _, page) = desk.browse(Method::GET, &token).await?;
    ensure!(status == StatusCode::OK && page.contains("<form method=\"post\">"), "{page}");
    // A mail is queued before its request is answered.
    assert_eq!(desk.host.stored().await?["outbox"], 1);
    let annes = json!({ "address": ANNE });
    let looked = crm.ask(&[(&own, "GET", &order, Value::Null), (&own, "PUT", &other, annes)]).await?;
    assert_eq!(
        (statuses(&looked), &looked[0].1["state"]),
        (vec![200, 201], &json!("waiting")),
        "opening it counts"
    );
    ensure!(desk.smtp.next_mail().await?.to == [ANNE]);

    let (status, _, page) = desk.browse(Method::POST, &token).await?;
    ensure!(status == StatusCode::OK && page.contains("is confirmed"), "{status} {page}");
    let (status, _, page) = desk.browse(Method::POST, &token).await?;
    ensure!(status == StatusCode::GONE && page.contains("was used before"), "{status} {page}");
    let known = crm.ask(&[(&own, "GET", &order, Value::Null), (&own, "GET", &other, Value::Null)]).await?;
    assert_eq!((&known[0].1["state"], &known[1].1["state"]), (&json!("validated"), &json!("waiting")));
    ensure!(known[0].1["validated_at"].as_u64() >= known[0].1["asked_at"].as_u64(), "{:?}", known[0]);
    Ok(())
}

#[tokio::test]
async fn reg_18_a_program_of_the_services_finds_the_token_in_the_mailbox_and_posts_it() -> Result<()> {
    let test = "reg_18_a_program_of_the_services_finds_the_token_in_the_mailbox_and_posts_it";
    let (Some(mut desk), Some(dovecot)) = (Desk::start(test).await?, Dovecot::start(test).await?) else {
        return Ok(());
    };
    let Some(crm) = Application::of(test, &desk.host) else { return Ok(()) };
    let own = token(&desk.host.admin, "crm").await?;
    let (first, second) = (path("first"), path("second"));
    crm.ask(&[(&own, "PUT", &first, json!({ "address": BOB }))]).await?;
    let mail = desk.smtp.next_mail().await?;
    dovecot.deliver("bob", "1.true", &mail.raw)?;

    let (sender, address): (EndpointId, EndpointId) = (SENDER.parse()?, BOB.parse()?);
    let found = dovecot.mailbox("bob")?.look(Expected { sender: &sender, address: &address }).await?;
    let [token] = &found[..] else { anyhow::bail!("{found:?}") };
    let (status, body) = desk.post_json(ANNE, token).await?;
    ensure!(status == StatusCode::UNPROCESSABLE_ENTITY && body["code"] == "registration-mismatch", "{body}");
    let (status, body) = desk.post_json(BOB, token).await?;
    ensure!(status == StatusCode::OK && body == json!({ "address": BOB }), "{status} {body}");

    // What was mailed for a service registers nobody.
    crm.ask(&[(&own, "PUT", &second, json!({ "address": BOB }))]).await?;
    let token = desk.smtp.next_mail().await?.token()?;
    let phone = desk.host.stranger().await?;
    ensure!(refusal(post(&phone, BOB, &token).await?)? == ErrorCode::RegistrationMismatch);
    ensure!(phone.registrations().await?.is_empty());
    let known = crm.ask(&[(&own, "GET", &first, Value::Null), (&own, "GET", &second, Value::Null)]).await?;
    assert_eq!((&known[0].1["state"], &known[1].1["state"]), (&json!("validated"), &json!("waiting")));

    let person = format!("person?endpoint={BOB}");
    let exported = desk.host.admin.get(&person).await?;
    let validations = exported["validations"].as_array().context("no validations")?;
    ensure!(validations.len() == 2, "{exported:#}");
    let (status, _) = desk.host.admin.ask_tenant(Method::DELETE, &person, None).await?;
    ensure!(status == StatusCode::OK, "{status}");
    let erased = crm.ask(&[(&own, "GET", &first, Value::Null), (&own, "GET", &second, Value::Null)]).await?;
    assert_eq!(statuses(&erased), [404, 404]);
    let (status, body) = desk.post_json(BOB, &token).await?;
    ensure!(status == StatusCode::UNPROCESSABLE_ENTITY && body["code"] == "registration-mismatch", "{body}");
    Ok(())
}

#[tokio::test]
async fn reg_18_without_a_mail_server_nothing_is_begun_and_an_address_gets_few_mails() -> Result<()> {
    let test = "reg_18_without_a_mail_server_nothing_is_begun_and_an_address_gets_few_mails";
    let host = Host::start().await?;
    let Some(crm) = Application::of(test, &host) else { return Ok(()) };
    let acme = host.admin.at("acme");
    acme.create_tenant().await?;
    let own = token(&acme, "crm").await?;
    let before = host.stored().await?;
    let path_of_acme = path("a").replace("default", "acme");
    let refused = crm.ask(&[(&own, "PUT", &path_of_acme, json!({ "address": BOB }))]).await?;
    assert_eq!((refused[0].0, &refused[0].1["code"]), (422, &json!("no-mail-server")));
    assert_eq!(host.stored().await?, before);

    let Some(desk) = Desk::start(test).await? else { return Ok(()) };
    let Some(crm) = Application::of(test, &desk.host) else { return Ok(()) };
    let own = token(&desk.host.admin, "crm").await?;
    let paths: Vec<String> = (0..6).map(|count| path(&format!("a{count}"))).collect();
    let calls: Vec<_> =
        paths.iter().map(|path| (own.as_str(), "PUT", path.as_str(), json!({ "address": BOB }))).collect();
    let asked = crm.ask(&calls).await?;
    assert_eq!(statuses(&asked), [201, 201, 201, 201, 201, 429]);
    assert_eq!(asked[5].1["code"], "rate-limited");
    Ok(())
}

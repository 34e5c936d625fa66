//! The open interface: an application registers for its users' devices, in whatever language (REG-12, REG-16).
//!
//! The application is a Python program that knows nothing but `docs/openapi.json`, and holds each answer to it.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use switchhook_tests::{
    admin::Admin,
    host::{Host, client_settings},
    phone::Phone,
    python::Python,
};

use crate::three::{ALICE, BOB};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
const EMAIL: &str = "erika@example.com";

/// An application of others.
pub(crate) struct Application {
    python: Python,
    base: String,
}

/// Status and body of an answer.
pub(crate) type Answered = (u64, Value);

impl Application {
    pub(crate) fn of(test: &str, host: &Host) -> Option<Self> {
        let base = format!("http://{}", host.addresses().http);
        Python::of(test).map(|python| Self { python, base })
    }

    /// Posts each body to a path, with a token; every answer is as the document says.
    async fn post(&self, calls: &[(&str, &str, Value)]) -> Result<Vec<Answered>> {
        let calls = calls.iter().map(|(token, path, body)| (*token, "POST", *path, body.clone()));
        self.ask(&calls.collect::<Vec<_>>()).await
    }

    /// Asks one after the other, with token, method, path and body; every answer is as the document says.
    pub(crate) async fn ask(&self, calls: &[(&str, &str, &str, Value)]) -> Result<Vec<Answered>> {
        let calls: Vec<Value> = calls
            .iter()
            .map(|(token, method, path, body)| {
                json!({ "method": method, "url": format!("{}{path}", self.base), "token": token, "body": body })
            })
            .collect();
        let answers =
            self.python.run("open_api.py", &json!({ "document": DOCUMENT, "calls": calls })).await?;
        let answers = answers.as_array().context("no list")?.iter();
        answers
            .map(|answer| {
                assert_eq!(answer["against"], json!([]), "{answer}");
                Ok((answer["status"].as_u64().context("no status")?, answer["body"].clone()))
            })
            .collect()
    }
}

/// A token of the tenant for one application.
pub(crate) async fn token(admin: &Admin, application: &str) -> Result<String> {
    let asked = json!({ "label": "crm", "application": application });
    let (_, made) = admin.ask_tenant(reqwest::Method::POST, "tokens", Some(&asked)).await?;
    made["token"].as_str().map(str::to_owned).context("no token")
}

fn both(phone: &Phone, endpoint: &str) -> Value {
    json!({ "application": phone.settings.application, "endpoint": endpoint, "push_token": phone.identity.push_token.as_str() })
}

#[tokio::test]
async fn reg_16_an_application_registers_finds_and_revokes_and_every_answer_is_as_described() -> Result<()> {
    let host = Host::start().await?;
    let Some(crm) = Application::of("reg_16_an_application_registers", &host) else { return Ok(()) };
    let (phone, tablet) = (host.stranger().await?, host.stranger().await?);
    let application = phone.settings.application.as_str();
    let token = token(&host.admin, application).await?;
    let by = |sought: Value| ("/v1/default/registrations/find", sought);
    let (find, of_email) = by(json!({ "application": application, "endpoint": EMAIL }));
    let (_, of_phone) =
        by(json!({ "application": application, "push_token": phone.identity.push_token.as_str() }));
    let (register, revoke) = ("/v1/default/registrations", "/v1/default/registrations/revoke");

    let answers = crm
        .post(&[
            (&token, register, both(&phone, EMAIL)),
            (&token, register, both(&phone, EMAIL)),
            (&token, register, both(&phone, ALICE)),
            (&token, register, both(&tablet, EMAIL)),
            (&token, find, of_email.clone()),
            (&token, find, of_phone.clone()),
            (&token, revoke, both(&tablet, EMAIL)),
            (&token, revoke, both(&tablet, EMAIL)),
            (&token, find, of_email),
        ])
        .await?;

    let statuses: Vec<u64> = answers.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [201, 201, 201, 201, 200, 200, 204, 404, 200]);
    assert_eq!(answers[0].1["method"], "direct");
    let devices = |of: &Value| of["registrations"].as_array().map_or(0, Vec::len);
    assert_eq!((devices(&answers[4].1), devices(&answers[8].1)), (2, 1));
    let held: Vec<&Value> =
        answers[5].1["registrations"].as_array().into_iter().flatten().map(|row| &row["endpoint"]).collect();
    assert_eq!(held, [ALICE, EMAIL]);
    assert_eq!(phone.registrations().await?, [ALICE.parse()?, EMAIL.parse()?]);
    assert_eq!(tablet.registrations().await?, []);
    Ok(())
}

#[tokio::test]
async fn reg_12_an_application_that_asks_too_often_is_told_how_long_to_wait() -> Result<()> {
    let host = Host::with(|settings| settings.limits.requests_of_application = 2).await?;
    let Some(crm) = Application::of("reg_12_an_application_that_asks_too_often", &host) else {
        return Ok(());
    };
    let phone = host.stranger().await?;
    let (own, game) =
        (token(&host.admin, phone.settings.application.as_str()).await?, token(&host.admin, "game").await?);
    let (path, both) = ("/v1/default/registrations", both(&phone, EMAIL));
    let (find, of_game) =
        ("/v1/default/registrations/find", json!({ "application": "game", "endpoint": EMAIL }));

    let answers = crm
        .post(&[
            // Who may not ask takes nothing from whoever may.
            (&game, path, both.clone()),
            (&own, path, both.clone()),
            (&own, path, both.clone()),
            (&own, "/v1/default/registrations/revoke", both),
            (&game, find, of_game),
        ])
        .await?;

    let statuses: Vec<u64> = answers.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [403, 201, 201, 429, 200]);
    assert_eq!(answers[3].1["code"], "rate-limited");
    assert_eq!(phone.registrations().await?, [EMAIL.parse()?], "what was refused changed nothing");
    Ok(())
}

/// REG-12
#[tokio::test]
async fn reg_12_a_token_opens_its_application_of_its_tenant_and_nothing_else() -> Result<()> {
    let host = Host::start().await?;
    let Some(crm) = Application::of("reg_12_a_token_opens_its_application", &host) else { return Ok(()) };
    let acme = host.admin.at("acme");
    acme.create_tenant().await?;
    let phone = host.stranger().await?;
    let foreign = Phone::enrol(client_settings(host.addresses().http, "acme", "phone")?).await?;
    let (own, game) =
        (token(&host.admin, phone.settings.application.as_str()).await?, token(&host.admin, "game").await?);
    let (path, email) = ("/v1/default/registrations", both(&phone, EMAIL));
    let before = host.stored().await?;
    let mut of_game = email.clone();
    of_game["application"] = json!("game");
    let mut nobodys = email.clone();
    nobodys["push_token"] = json!("nobodys");
    let mut no_number = email.clone();
    no_number["endpoint"] = json!("+0155501000");

    let answers = crm
        .post(&[
            ("", path, email.clone()),
            ("no token of ours", path, email.clone()),
            (&game, path, email.clone()),
            (&own, path, of_game.clone()),
            (&game, path, of_game),
            (&own, "/v1/acme/registrations", email.clone()),
            (&own, path, both(&foreign, EMAIL)),
            (&own, path, nobodys),
            (&own, path, no_number),
            (&own, path, json!({ "application": phone.settings.application })),
            (&own, "/v1/default/registrations/find", json!({ "application": phone.settings.application })),
            (&own, "/v1/nobody/registrations", email),
        ])
        .await?;

    let codes: Vec<(u64, &str)> =
        answers.iter().map(|(status, body)| (*status, body["code"].as_str().unwrap_or_default())).collect();
    assert_eq!(
        codes,
        [
            (401, "unauthorized"),
            (401, "unauthorized"),
            (403, "forbidden"),
            (403, "forbidden"),
            (404, "not-found"),
            (403, "forbidden"),
            (404, "not-found"),
            (404, "not-found"),
            (400, "malformed"),
            (400, "malformed"),
            (400, "malformed"),
            (403, "forbidden"),
        ]
    );
    assert_eq!(host.stored().await?, before, "nothing is stored");
    let (status, _) =
        host.admin.with_token(&own).ask_tenant(reqwest::Method::GET, "registrations", None).await?;
    assert_eq!(status, reqwest::StatusCode::FORBIDDEN, "it administers nothing");
    Ok(())
}

/// REG-10.email
#[tokio::test]
async fn reg_10_a_device_that_is_known_by_email_alone_invites_a_phone_number() -> Result<()> {
    let host = Host::start().await?;
    let mut bob = host.phone(BOB).await?;
    let mut erika = host.stranger().await?;
    let http = reqwest::Client::new();
    let token = token(&host.admin, erika.settings.application.as_str()).await?;
    let url = format!("http://{}/v1/default/registrations", host.addresses().http);
    let answer = http.post(url).bearer_auth(token).json(&both(&erika, EMAIL)).send().await?;
    assert_eq!(answer.status(), reqwest::StatusCode::CREATED);
    erika.number = Some(EMAIL.parse()?);

    let status = erika.invite(BOB).await?;

    let rung = bob.expect_invite().await?;
    assert_eq!((rung.session, rung.inviter.endpoint.reveal()), (status.session, EMAIL));
    Ok(())
}

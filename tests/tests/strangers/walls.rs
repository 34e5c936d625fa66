//! Two tenants on one host: nothing of one is good for anything in the other.

use anyhow::{Context as _, Result, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use switchhook_client::{Client, ConnectError, registration::begin_text};
use switchhook_protocol::{
    client::Signal,
    endpoint::EndpointId,
    error::ErrorCode,
    invitation::Cancel,
    registration::{RegisterValidate, parse_signature_text},
};
use switchhook_server::NotTaken;
use switchhook_tests::{
    admin::Admin,
    host::{Host, Transit, client_settings, tenant},
    phone::{Phone, open, refusal},
    raw::{Raw, hello},
    waiting::in_time,
};

use crate::{ALICE, BOB};

const SECRET: &str = "a-secret-of-the-second-tenant-alone";

/// A host with a second tenant, which has a transit of its own.
struct Two {
    host: Host,
    acme: Admin,
    transit: Transit,
}

#[tokio::test]
async fn no_admin_endpoint_takes_another_tenants_token_or_none() -> Result<()> {
    let two = Two::start().await?;
    let others = two.host.admin.with_token(&two.acme.create_token().await?);
    let nobody = two.host.admin.with_token("nobody");
    let before = two.host.stored().await?;
    let endpoints = endpoints(&two.host.admin).await?;
    assert!(endpoints.len() > 30, "{endpoints:?}");

    for Endpoint { method, path, body } in endpoints {
        let (status, answer) = others.ask(method.clone(), &path, body.as_ref()).await?;
        assert_eq!(
            (status, answer["code"].as_str()),
            (StatusCode::FORBIDDEN, Some("forbidden")),
            "{method} {path}"
        );
        let (status, answer) = nobody.ask(method.clone(), &path, body.as_ref()).await?;
        assert_eq!(
            (status, answer["code"].as_str()),
            (StatusCode::UNAUTHORIZED, Some("unauthorized")),
            "{method} {path}"
        );
    }

    assert_eq!(two.host.stored().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_device_of_one_tenant_is_nobody_in_the_other() -> Result<()> {
    let two = Two::start().await?;
    let alice = two.host.phone(ALICE).await?;
    let elsewhere = client_settings(two.host.addresses().http, "acme", "phone")?;

    let refused = in_time("the answer", Client::connect(elsewhere, alice.identity.clone())).await?;

    let Err(ConnectError::Finished(finished)) = refused else { panic!("it is let in: {refused:?}") };
    assert_eq!(finished.code, 4501);
    // A proof for the one tenant is none for the other.
    let mut raw = Raw::connect(two.host.addresses().http, "acme").await?;
    let nonce = raw.challenge().await?;
    raw.say(hello(&nonce, &tenant("default")?, &alice.identity)?.to_string()).await?;
    assert_eq!(raw.close_code().await?, 4501);
    Ok(())
}

#[tokio::test]
async fn the_same_number_is_somebody_else_in_the_other_tenant() -> Result<()> {
    let two = Two::start().await?;
    let alice = two.host.phone(ALICE).await?;
    let bob = two.phone(BOB).await?;
    let _alice_there = two.phone(ALICE).await?;

    let answer =
        in_time("the answer", alice.client.invite(&alice.invite_of(&alice.prepare(&open()).await?, &[BOB])?))
            .await?;

    assert_eq!(refusal(answer)?, ErrorCode::NoneRegistered);
    assert_eq!(bob.registrations().await?, [BOB.parse()?]);
    Ok(())
}

#[tokio::test]
async fn a_push_token_of_one_tenant_registers_nothing_in_the_other() -> Result<()> {
    let two = Two::start().await?;
    let alice = two.host.stranger().await?;
    let before = two.host.stored().await?;

    let answer = two.transit.carrier.text(&ALICE.parse()?, &begin_text(&alice.identity)).await;

    assert_eq!(code(answer)?, ErrorCode::RegistrationMismatch);
    assert_eq!(two.host.stored().await?, before);
    Ok(())
}

#[tokio::test]
async fn reg_4_a_signature_of_one_tenant_validates_nothing_in_the_other() -> Result<()> {
    let two = Two::start().await?;
    let (alice, mallory) = (two.host.stranger().await?, two.phone(BOB).await?);
    let number: EndpointId = ALICE.parse()?;
    let carrier = &two.host.transit.carrier;
    in_time("the text", carrier.text(&number, &begin_text(&alice.identity))).await??;
    let text = in_time("the SMS", carrier.next_text(&number, 0)).await?;
    let (number, signature) = parse_signature_text(&text).context("the SMS is no signature")?;
    let before = two.host.stored().await?;

    for (device, token) in [(&alice, &alice), (&mallory, &alice), (&mallory, &mallory)] {
        let request = RegisterValidate {
            number: number.clone(),
            push_token: token.identity.push_token.clone(),
            device: device.device().clone(),
            signature: signature.clone(),
        };
        let answer = in_time("the answer", mallory.client.register_validate(&request)).await?;
        assert_eq!(refusal(answer)?, ErrorCode::RegistrationMismatch);
    }

    assert_eq!(mallory.registrations().await?, [BOB.parse()?]);
    assert_eq!(two.host.stored().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_gateways_secret_of_one_tenant_signs_nothing_for_the_other() -> Result<()> {
    let two = Two::start().await?;
    let alice = two.host.stranger().await?;
    let http = two.host.addresses().http;
    let crossed = Transit::start(http, &tenant("default")?, SECRET).await?;

    let before = two.host.stored().await?;

    let answer = crossed.carrier.text(&ALICE.parse()?, &begin_text(&alice.identity)).await;

    assert_eq!(code(answer)?, ErrorCode::BadSignature);
    assert_eq!(two.host.stored().await?, before);
    Ok(())
}

#[tokio::test]
async fn tickets_and_aliases_of_one_tenant_open_nothing_in_the_other() -> Result<()> {
    let two = Two::start().await?;
    let (alice, mut bob) = (two.host.phone(ALICE).await?, two.host.phone(BOB).await?);
    let mut mallory = two.phone(ALICE).await?;
    let status = alice.invite(BOB).await?;
    let rung = bob.expect_invite().await?;

    for ticket in [&status.ticket, &rung.ticket] {
        let cancel = in_time("the answer", mallory.client.cancel(&Cancel { ticket: ticket.clone() })).await?;
        assert_eq!(refusal(cancel)?, ErrorCode::BadTicket);
    }
    assert_eq!(refusal(mallory.accept_by_hand(&rung).await?)?, ErrorCode::BadTicket);
    let signal = Signal { ticket: rung.ticket.clone(), to: rung.inviter.alias.clone(), data: json!(1) };
    in_time("the signal", mallory.client.signal(signal.clone())).await??;
    in_time("the presence", mallory.client.presence(signal)).await??;
    // The refusal of a live message has no id; the connection goes on.
    mallory.heard().await?;

    bob.accept(&rung).await??;
    Ok(())
}

#[tokio::test]
async fn sealed_connection_data_of_one_tenant_is_refused_in_the_other() -> Result<()> {
    let two = Two::start().await?;
    let (alice, mut bob) = (two.host.phone(ALICE).await?, two.host.phone(BOB).await?);
    let (carol, mut dave) = (two.phone(ALICE).await?, two.phone(BOB).await?);
    alice.invite(BOB).await?;
    carol.invite(BOB).await?;
    let (here, there) = (bob.expect_invite().await?, dave.expect_invite().await?);

    let mut crossed = there.clone();
    crossed.inviter_connection_data = here.inviter_connection_data;

    assert_eq!(refusal(dave.accept_by_hand(&crossed).await?)?, ErrorCode::BadTicket);
    dave.accept(&there).await??;
    Ok(())
}

#[tokio::test]
async fn an_administrator_of_one_tenant_sees_and_changes_nothing_of_the_other() -> Result<()> {
    let two = Two::start().await?;
    let (alice, _bob) = (two.host.phone(ALICE).await?, two.host.phone(BOB).await?);
    let status = alice.invite(BOB).await?;
    let token = two.acme.create_token().await?;
    let acme = two.acme.with_token(&token);
    assert!(acme.get("decisions").await.is_ok());

    let there = acme.at("default");
    for path in ["decisions", "gateways", "tokens", "texts/in-doubt", &format!("sessions/{}", status.session)]
    {
        let (code, body) = there.ask_tenant(Method::GET, path, None).await?;
        assert_eq!((code, body["code"].as_str()), (StatusCode::FORBIDDEN, Some("forbidden")), "{path}");
    }
    let (code, _) = there.ask(Method::GET, "tenants", None).await?;
    assert_eq!(code, StatusCode::FORBIDDEN);
    let made = json!({ "tenant": "third" });
    assert_eq!(there.ask(Method::POST, "tenants", Some(&made)).await?.0, StatusCode::FORBIDDEN);
    assert!(there.put_gateway("http://127.0.0.1:9/", SECRET).await.is_err());
    // A session of the other tenant is none of its own.
    let (code, _) = acme.ask_tenant(Method::GET, &format!("sessions/{}", status.session), None).await?;
    assert_eq!(code, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn an_administrator_needs_a_token_that_counts() -> Result<()> {
    let two = Two::start().await?;
    for wrong in ["", "swh_nothing", SECRET] {
        let (code, _) = two.acme.with_token(wrong).ask_tenant(Method::GET, "decisions", None).await?;
        assert_eq!(code, StatusCode::UNAUTHORIZED);
    }
    let token = two.acme.create_token().await?;
    let tokens = two.acme.get("tokens").await?;
    let id = tokens[0]["id"].as_str().unwrap_or_default();
    assert!(tokens[0].get("token").is_none(), "a token is shown once");
    let revoked = two.acme.ask_tenant(Method::DELETE, &format!("tokens/{id}"), None).await?;
    assert_eq!(revoked.0, StatusCode::NO_CONTENT);
    let (code, _) = two.acme.with_token(&token).ask_tenant(Method::GET, "decisions", None).await?;
    assert_eq!(code, StatusCode::UNAUTHORIZED);
    Ok(())
}

#[tokio::test]
async fn plug_1_an_operators_token_outlives_a_restart_and_its_audit_tells_who_made_it() -> Result<()> {
    let mut host = Host::start().await?;
    let new = json!({ "label": "second" });
    let (made, body) = host.admin.ask(Method::POST, "tokens", Some(&new)).await?;
    assert_eq!(made, StatusCode::CREATED, "{body}");
    let (id, token) = (body["id"].as_str().context("an id")?, body["token"].as_str().context("a token")?);
    let second = host.admin.with_token(token);

    host.restart(async |_| Ok(())).await?;

    let (status, _) = second.ask(Method::DELETE, &format!("tokens/{id}"), None).await?;
    assert_eq!(status, StatusCode::NO_CONTENT, "it takes itself back");
    let (refused, _) = second.ask(Method::GET, "audit", None).await?;
    assert_eq!(refused, StatusCode::UNAUTHORIZED);
    let (_, audit) = host.admin.ask(Method::GET, "audit", None).await?;
    let entry = |entry: &Value| format!("{} {} {}", entry["actor"], entry["action"], entry["subject"]);
    let entries: Vec<_> = audit["entries"].as_array().context("entries")?.iter().map(entry).collect();
    let revoked = format!(r#""second" "token.revoke" "{id}""#);
    let expected =
        [r#""start" "token.create" "operator""#, r#""operator" "token.create" "second""#, &revoked];
    assert_eq!(entries, expected);
    Ok(())
}

/// An endpoint of the first tenant's, and a body of the right form.
#[derive(Debug)]
struct Endpoint {
    method: Method,
    path: String,
    body: Option<Value>,
}

/// What the served description of the API describes, but for the description itself.
async fn endpoints(admin: &Admin) -> Result<Vec<Endpoint>> {
    let (_, document) = admin.ask(Method::GET, "openapi.json", None).await?;
    let mut endpoints = vec![];
    for (path, item) in document["paths"].as_object().context("no paths")? {
        for (method, operation) in item.as_object().context("no operations")? {
            let path = path.replace("{tenant}", "default").replace("{slot}", "invite-router");
            let path = path.replace("{version}", "1").replace(['{', '}'], "");
            let method = method.to_uppercase().parse()?;
            let body = body(&document, operation);
            endpoints.push(Endpoint { method, path: path.trim_start_matches('/').to_owned(), body });
        }
    }
    // Devices' own requests are signed, by no token.
    endpoints.retain(|endpoint| endpoint.path != "openapi.json" && !endpoint.path.starts_with("v1/"));
    Ok(endpoints)
}

/// A body with all that is required, of the right types.
fn body(document: &Value, operation: &Value) -> Option<Value> {
    let schema = operation.pointer("/requestBody/content/application~1json/schema")?;
    let reference = schema.get("$ref").and_then(Value::as_str);
    let schema = reference.and_then(|name| document.pointer(name.trim_start_matches('#'))).unwrap_or(schema);
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let field = |name: &Value| {
        let name = name.as_str()?;
        let value = match schema["properties"][name]["type"].as_str() {
            Some("string") => json!("x"),
            Some("array") => json!([]),
            Some(_) => json!(1),
            None => json!({}),
        };
        Some((name.to_owned(), value))
    };
    Some(required.filter_map(field).collect())
}

impl Two {
    async fn start() -> Result<Self> {
        let host = Host::start().await?;
        let acme = host.admin.at("acme");
        acme.create_tenant().await?;
        let transit = Transit::start(host.addresses().http, &tenant("acme")?, SECRET).await?;
        acme.put_gateway(&transit.send_url, SECRET).await?;
        Ok(Self { host, acme, transit })
    }

    /// A phone of the second tenant.
    async fn phone(&self, number: &str) -> Result<Phone> {
        let settings = client_settings(self.host.addresses().http, "acme", "phone")?;
        let mut phone = Phone::enrol(settings).await?;
        phone.register(&self.transit.carrier, &number.parse()?).await?;
        Ok(phone)
    }
}

fn code<T: std::fmt::Debug>(answer: Result<T, NotTaken>) -> Result<ErrorCode> {
    match answer {
        Err(NotTaken::Refused(body)) => Ok(body.code),
        other => bail!("not refused: {other:?}"),
    }
}

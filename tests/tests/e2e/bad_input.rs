//! Bad input: each kind gets its published code, what can go on goes on, nothing is stored.

use std::net::SocketAddr;

use anyhow::Result;
use reqwest::{Client, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};
use switchhook_client::{
    identity::{DeviceKey, Identity},
    registration::begin_text,
};
use switchhook_core::transit::{SIGNATURE_HEADER, TOLERANCE, sign};
use switchhook_protocol::{
    MAX_FRAME, SUBPROTOCOL, client::Enrol, device_key::Statement, error::ErrorCode,
    registration::registration_text, time::Timestamp,
};
use switchhook_server::NotTaken;
use switchhook_tests::{
    host::{Host, tenant},
    raw::{Heard, NoSocket, Raw, code_of, hello},
    waiting::now,
};

const ALICE: &str = "+15550100";

#[tokio::test]
async fn malformed_frames_are_answered_and_the_connection_goes_on() -> Result<()> {
    let host = Host::start().await?;
    let phone = host.phone(ALICE).await?;
    let before = host.stored().await?;
    let mut raw = Raw::welcomed(host.addresses().http, &tenant("default")?, &phone.identity).await?;

    for (frame, id, code) in [
        ("not json", None, "malformed"),
        ("[1,2,3]", None, "malformed"),
        (r#"{"no":"type"}"#, None, "malformed"),
        (r#"{"type":"request"}"#, None, "malformed"),
        (r#"{"type":"request","id":"spaces are no id","op":"sync","body":{}}"#, None, "malformed"),
        (r#"{"type":"request","id":"1"}"#, Some("1"), "malformed"),
        (r#"{"type":"request","id":"2","op":"cancel","body":{}}"#, Some("2"), "malformed"),
        (r#"{"type":"request","id":"3","op":"cancel","body":{"ticket":7}}"#, Some("3"), "malformed"),
        (r#"{"type":"request","id":"4","op":"invite","body":null}"#, Some("4"), "malformed"),
        (r#"{"type":"request","id":"5","op":"teleport","body":{}}"#, Some("5"), "unsupported"),
        (r#"{"type":"confetti"}"#, None, "unsupported"),
        (r#"{"type":"ack","seq":-1}"#, None, "malformed"),
        (r#"{"type":"signal","ticket":"forged","to":"nobody","data":1}"#, None, "bad-ticket"),
        (r#"{"type":"request","id":"6","op":"cancel","body":{"ticket":"forged"}}"#, Some("6"), "bad-ticket"),
    ] {
        raw.say(frame).await?;
        let answer = raw.message().await?;
        assert_eq!(code_of(&answer), code, "{frame}");
        assert_eq!(answer.get("id").and_then(Value::as_str), id, "{frame}");
        assert!(raw.serves().await?, "{frame}");
    }
    raw.say(r#"{"type":"ack","seq":9007199254740991}"#).await?;
    assert!(raw.serves().await?, "an ack of what was never sent");
    assert_eq!(host.stored().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_binary_frame_and_a_message_that_is_too_large_close_the_socket() -> Result<()> {
    let host = Host::start().await?;
    let phone = host.phone(ALICE).await?;
    let tenant = tenant("default")?;

    let mut raw = Raw::welcomed(host.addresses().http, &tenant, &phone.identity).await?;
    raw.say_binary(b"\x00\x01").await?;
    assert_eq!(raw.close_code().await?, 1008);

    let mut raw = Raw::welcomed(host.addresses().http, &tenant, &phone.identity).await?;
    let fits = json!({ "type": "ping", "padding": "x".repeat(MAX_FRAME - 64) }).to_string();
    raw.say(fits).await?;
    assert_eq!(raw.message().await?, json!({ "type": "pong" }));
    // The socket may be gone before all of it is written.
    let sent = raw.say("x".repeat(MAX_FRAME + 1)).await;
    let heard = raw.hear().await;
    assert!(
        matches!(heard, Ok(Heard::Closed(1009) | Heard::Gone)) || sent.is_err(),
        "too large: {heard:?} {sent:?}"
    );

    // The device is none the worse for it.
    assert!(Raw::welcomed(host.addresses().http, &tenant, &phone.identity).await?.serves().await?);
    Ok(())
}

#[tokio::test]
async fn a_socket_needs_the_subprotocol_and_a_tenant() -> Result<()> {
    let host = Host::start().await?;
    let http = host.addresses().http;
    let refused = |status, code: &str| NoSocket { status, code: code.to_owned() };

    let no = Raw::try_connect(http, "default", None).await?.map(drop);
    assert_eq!(no, Err(refused(404, "unsupported")));
    let no = Raw::try_connect(http, "default", Some("switchhook.v99.cbor")).await?.map(drop);
    assert_eq!(no, Err(refused(404, "unsupported")));
    let no = Raw::try_connect(http, "nobody", Some(SUBPROTOCOL)).await?.map(drop);
    assert_eq!(no, Err(refused(404, "unknown-tenant")));
    let no = Raw::try_connect(http, "b%20d", Some(SUBPROTOCOL)).await?.map(drop);
    assert_eq!(no, Err(refused(404, "unknown-tenant")));
    Ok(())
}

#[tokio::test]
async fn nothing_is_done_for_who_has_not_said_hello() -> Result<()> {
    let host = Host::start().await?;
    let phone = host.phone(ALICE).await?;
    let before = host.stored().await?;
    let mut raw = Raw::connect(host.addresses().http, "default").await?;
    let nonce = raw.challenge().await?;

    let answer = raw.request("sync", json!({})).await?;
    assert_eq!(code_of(&answer), "unauthorized");
    raw.say(r#"{"type":"ack","seq":1}"#).await?;
    assert_eq!(code_of(&raw.message().await?), "unauthorized");
    raw.say("nonsense").await?;
    assert_eq!(code_of(&raw.message().await?), "malformed");

    // It may still say who it is.
    raw.say(hello(&nonce, &tenant("default")?, &phone.identity)?.to_string()).await?;
    assert_eq!(raw.message().await?["type"], json!("welcome"));
    assert!(raw.serves().await?);
    assert_eq!(host.stored().await?, before);
    Ok(())
}

#[tokio::test]
async fn who_talks_nonsense_before_hello_is_closed() -> Result<()> {
    let host = Host::start().await?;
    let mut raw = Raw::connect(host.addresses().http, "default").await?;
    raw.challenge().await?;
    for _ in 0..8 {
        raw.say("nonsense").await?;
    }
    assert_eq!(raw.close_code().await?, 1008);
    Ok(())
}

#[tokio::test]
async fn a_hello_that_does_not_prove_the_device_is_final() -> Result<()> {
    let host = Host::start().await?;
    let (alice, bob) = (host.phone(ALICE).await?, host.phone("+15550101").await?);
    let http = host.addresses().http;
    let tenant = tenant("default")?;

    // A proof over another challenge: heard once, it is no use a second time.
    let mut overheard = Raw::connect(http, "default").await?;
    let old = hello(&overheard.challenge().await?, &tenant, &alice.identity)?;
    let with = |change: &dyn Fn(&mut Identity)| {
        let mut identity = alice.identity.clone();
        change(&mut identity);
        identity
    };
    let wrong = [
        with(&|identity| identity.key = DeviceKey::generate(&mut rand::rng())),
        with(&|identity| identity.device = bob.device().clone()),
        with(&|identity| identity.push_token = bob.identity.push_token.clone()),
        with(&|identity| identity.push_token = "no-such-token".parse().unwrap()),
    ];
    let mut hellos = vec![Ok(old)];
    for identity in &wrong {
        hellos.push(Err(identity));
    }
    for said in hellos {
        let mut raw = Raw::connect(http, "default").await?;
        let nonce = raw.challenge().await?;
        let said = match said {
            Ok(replayed) => replayed,
            Err(identity) => hello(&nonce, &tenant, identity)?,
        };
        raw.say(said.to_string()).await?;
        assert_eq!(code_of(&raw.message().await?), "unauthorized", "one word, whatever was wrong");
        assert_eq!(raw.close_code().await?, 4501);
    }
    assert!(Raw::welcomed(http, &tenant, &alice.identity).await?.serves().await?);
    Ok(())
}

#[tokio::test]
async fn an_enrolment_that_does_not_prove_its_key_stores_nothing() -> Result<()> {
    let host = Host::start().await?;
    let before = host.stored().await?;
    let mut raw = Raw::connect(host.addresses().http, "default").await?;
    let nonce = raw.challenge().await?;
    let (key, other) = (DeviceKey::generate(&mut rand::rng()), DeviceKey::generate(&mut rand::rng()));
    let (application, tenant) = ("test".parse()?, tenant("default")?);
    let statement = Statement::Enrol { nonce: &nonce, tenant: &tenant, application: &application };
    let enrol = |proof, kind: &str| -> Result<String> {
        let enrol = Enrol {
            application: application.clone(),
            device_key: key.public(),
            proof,
            device_kind: kind.to_owned(),
        };
        let mut said = serde_json::to_value(enrol)?;
        said["type"] = json!("enrol");
        Ok(said.to_string())
    };

    for (proof, kind, code) in [
        (other.sign(&statement), "phone", "unauthorized"),
        (
            key.sign(&Statement::Enrol { nonce: "old", tenant: &tenant, application: &application }),
            "phone",
            "unauthorized",
        ),
        (key.sign(&statement), "", "too-large"),
        (key.sign(&statement), &"x".repeat(65), "too-large"),
    ] {
        raw.say(enrol(proof, kind)?).await?;
        assert_eq!(code_of(&raw.message().await?), code);
    }
    assert_eq!(host.stored().await?, before);
    raw.say(enrol(key.sign(&statement), "phone")?).await?;
    assert_eq!(raw.message().await?["type"], json!("enrolled"));
    Ok(())
}

/// REG-2
#[tokio::test]
async fn reg_2_a_report_that_the_transit_did_not_sign_begins_nothing() -> Result<()> {
    let host = Host::start().await?;
    let phone = host.stranger().await?;
    let before = host.stored().await?;
    let body = report(&begin_text(&phone.identity)).to_string();
    let now = now();
    let early = Timestamp::from_millis(now.as_millis() - 1_000 * (TOLERANCE.as_secs() + 5));
    let late = now.after(TOLERANCE + std::time::Duration::from_secs(5));
    let secret = host.transit.secret.as_bytes();
    let good = sign(secret, body.as_bytes(), now);
    let post = Post { http: host.addresses().http, gateway: "sandbox" };

    for (signature, body) in [
        (None, body.as_str()),
        (Some(String::new()), &body),
        (Some("t=1,v1=zz".to_owned()), &body),
        (Some(sign(b"another secret", body.as_bytes(), now)), &body),
        (Some(sign(secret, body.as_bytes(), early)), &body),
        (Some(sign(secret, body.as_bytes(), late)), &body),
        (Some(good.clone()), &body.replace(ALICE, "+15550101")),
        (Some(good.clone()), &format!("{body} ")),
    ] {
        let (status, answer) = post.send(signature.as_deref(), body).await?;
        assert_eq!(
            (status, code_of(&answer).as_str()),
            (StatusCode::UNAUTHORIZED, "bad-signature"),
            "{signature:?}"
        );
    }
    let unknown = Post { gateway: "nobody", ..post };
    let (status, answer) = unknown.send(Some(&good), &body).await?;
    assert_eq!((status, code_of(&answer).as_str()), (StatusCode::NOT_FOUND, "not-found"));
    assert_eq!(host.stored().await?, before);
    assert_eq!(host.transit.count(&ALICE.parse()?), 0);

    assert_eq!(post.send(Some(&good), &body).await?.0, StatusCode::OK);
    Ok(())
}

#[tokio::test]
async fn a_signed_report_of_the_wrong_form_is_told_what_is_wrong() -> Result<()> {
    let host = Host::start().await?;
    let phone = host.stranger().await?;
    let before = host.stored().await?;
    let now = now();
    let post = Post { http: host.addresses().http, gateway: "sandbox" };
    let text = begin_text(&phone.identity);
    let changed = |field: &str, value: Value| {
        let mut report = report(&text);
        report[field] = value;
        report.to_string()
    };

    for (body, status, code) in [
        ("not json".to_owned(), 400, "malformed"),
        ("{}".to_owned(), 400, "malformed"),
        (changed("from", json!("not a number")), 400, "malformed"),
        (changed("from", json!("+0")), 400, "malformed"),
        (changed("id", json!("")), 413, "too-large"),
        (changed("id", json!("x".repeat(129))), 413, "too-large"),
        (changed("text", json!("Your parcel has arrived")), 422, "not-claimed"),
        (changed("text", json!("SWH")), 422, "not-claimed"),
        (changed("text", json!("SWH no-such-token no-such-device")), 422, "registration-mismatch"),
        ("x".repeat(65 * 1024), 413, "too-large"),
    ] {
        let signature = sign(host.transit.secret.as_bytes(), body.as_bytes(), now);
        let (answered, answer) = post.send(Some(&signature), &body).await?;
        let short: String = body.chars().take(80).collect();
        assert_eq!((answered.as_u16(), code_of(&answer).as_str()), (status, code), "{short}");
    }
    assert_eq!(host.stored().await?, before);
    Ok(())
}

/// REG-3
#[tokio::test]
async fn reg_2_a_text_that_names_another_device_beside_the_token_begins_nothing() -> Result<()> {
    let host = Host::start().await?;
    let (alice, bob) = (host.stranger().await?, host.stranger().await?);
    let before = host.stored().await?;
    let text = registration_text(&alice.identity.push_token, bob.device());

    let answer = host.transit.carrier.text(&ALICE.parse()?, &text).await;

    let Err(NotTaken::Refused(body)) = answer else { panic!("it is taken: {answer:?}") };
    assert_eq!(body.code, ErrorCode::RegistrationMismatch);
    assert_eq!(host.stored().await?, before);
    Ok(())
}

/// An SMS from another number proves that number, not the one that somebody claims: whoever sends it from
/// a phone of theirs cannot end up with the number of another.
///
/// REG-3, REG-4
#[tokio::test]
async fn reg_2_an_sms_from_another_number_registers_that_number_and_no_other() -> Result<()> {
    let host = Host::start().await?;
    let mallory = host.stranger().await?;
    host.transit.carrier.text(&"+15550166".parse()?, &begin_text(&mallory.identity)).await?;
    let text = host.transit.carrier.next_text(&"+15550166".parse()?, 0).await;
    let signature = text.split(' ').next_back().unwrap();
    let mut raw = Raw::welcomed(host.addresses().http, &tenant("default")?, &mallory.identity).await?;
    let claim = |number: &str| {
        json!({
            "number": number, "push_token": mallory.identity.push_token, "device": mallory.device(),
            "signature": signature,
        })
    };

    let answer = raw.request("register.validate", claim(ALICE)).await?;
    assert_eq!(code_of(&answer), "registration-mismatch");
    let snapshot = raw.request("sync", json!({})).await?;
    assert_eq!(snapshot["ok"]["registrations"], json!([]));

    let answer = raw.request("register.validate", claim("+15550166")).await?;
    assert_eq!(answer["ok"]["state"], json!("registered"));
    let snapshot = raw.request("sync", json!({})).await?;
    assert_eq!(snapshot["ok"]["registrations"], json!(["+15550166"]));
    Ok(())
}

#[tokio::test]
async fn an_unknown_tenant_has_no_transit_and_no_administration() -> Result<()> {
    let host = Host::start().await?;
    let url = format!("http://{}/v1/nobody/transits/sandbox/messages", host.addresses().http);
    let answer = Client::new().post(url).header(SIGNATURE_HEADER, "t=1,v1=00").body("{}").send().await?;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(code_of(&answer.json().await?), "unknown-tenant");

    let (status, body) = host.admin.at("nobody").ask_tenant(reqwest::Method::GET, "gateways", None).await?;
    assert_eq!((status, code_of(&body).as_str()), (StatusCode::NOT_FOUND, "unknown-tenant"));
    Ok(())
}

#[tokio::test]
async fn an_invite_out_of_bounds_rings_nobody() -> Result<()> {
    let host = Host::start().await?;
    let (alice, _bob) = (host.phone(ALICE).await?, host.phone("+15550101").await?);
    let prepared = alice.prepare(&switchhook_tests::phone::open()).await?;
    let good = serde_json::to_value(alice.invite_of(&prepared, &["+15550101"])?)?;
    let before = host.stored().await?;
    let mut raw = Raw::welcomed(host.addresses().http, &tenant("default")?, &alice.identity).await?;
    let other_key = json!({ "public": "AAAA", "signature": good["session_key"]["signature"] });
    let candidate = json!({ "kind": "host", "address": "127.0.0.1:9", "priority": 1 });

    for (pointer, value, code) in [
        ("/invited", json!([]), "malformed"),
        ("/invited", json!(vec!["+15550101"; 17]), "malformed"),
        ("/invited", json!(["two words"]), "malformed"),
        ("/from", json!("+1555010x"), "malformed"),
        ("/purpose", json!(""), "too-large"),
        ("/purpose", json!("x".repeat(65)), "too-large"),
        ("/display_name", json!("x".repeat(129)), "too-large"),
        ("/session_key", other_key, "unauthorized"),
        ("/session_key/signature", json!("AAAA"), "unauthorized"),
        ("/connection_data/observed", json!(vec!["x"; 5]), "too-large"),
        ("/connection_data/claimed/host_candidates", json!(vec![candidate; 9]), "too-large"),
    ] {
        let mut invite = good.clone();
        *invite.pointer_mut(pointer).unwrap() = value.clone();
        let answer = raw.request("invite", invite).await?;
        assert_eq!(code_of(&answer), code, "{pointer} = {value}");
    }
    assert_eq!(host.stored().await?, before);
    assert!(raw.request("invite", good).await?.get("ok").is_some());
    Ok(())
}

/// The body of a report.
fn report(text: &str) -> Value {
    json!({ "id": "one", "from": ALICE, "to": "70470", "text": text })
}

/// A transit's way to the host.
#[derive(Clone, Copy)]
struct Post {
    http: SocketAddr,
    gateway: &'static str,
}

impl Post {
    async fn send(&self, signature: Option<&str>, body: &str) -> Result<(StatusCode, Value)> {
        let url = format!("http://{}/v1/default/transits/{}/messages", self.http, self.gateway);
        let request = Client::new().post(url).header(CONTENT_TYPE, "application/json").body(body.to_owned());
        let request = if let Some(signature) = signature {
            request.header(SIGNATURE_HEADER, signature)
        } else {
            request
        };
        let answer = request.send().await?;
        let status = answer.status();
        Ok((status, serde_json::from_str(&answer.text().await?).unwrap_or_default()))
    }
}

//! Reports that no transit made, or that mean nothing (REG-2).

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use reqwest::{Client, RequestBuilder, StatusCode, header::CONTENT_TYPE};
use serde_json::{Value, json};
use switchhook_client::registration::begin_text;
use switchhook_core::transit::{SIGNATURE_HEADER, TOLERANCE, sign};
use switchhook_protocol::{error::ErrorCode, time::Timestamp};
use switchhook_server::SANDBOX_NUMBER;
use switchhook_tests::{host::Host, phone::Phone};

use crate::{ALICE, BOB, now, published};

/// Larger than the host reads.
const TOO_LARGE: usize = 65 * 1024;

#[tokio::test]
async fn reg_2_an_unsigned_or_wrongly_signed_report_is_refused() -> Result<()> {
    let desk = Desk::open().await?;
    let body = report("one", ALICE, &begin_text(&desk.phone.identity));
    let good = desk.signature(&body);
    let (time, mac) = good.split_once(',').unwrap_or_default();
    let other = sign(b"a-secret-of-somebody-else-altogether", body.as_bytes(), now());
    let wrong = [
        None,
        Some(String::new()),
        Some("t=,v1=".to_owned()),
        Some(time.to_owned()),
        Some(mac.to_owned()),
        Some(format!("{time},v1=00")),
        Some(format!("t=1,{mac}")),
        Some(format!("{time},v2={mac}")),
        Some(other),
    ];
    for signature in wrong {
        desk.refuses(SANDBOX, signature.as_deref(), &body, ErrorCode::BadSignature).await?;
    }
    desk.takes(&body).await
}

#[tokio::test]
async fn reg_2_a_report_that_was_changed_after_it_was_signed_is_refused() -> Result<()> {
    let desk = Desk::open().await?;
    let body = report("one", ALICE, &begin_text(&desk.phone.identity));
    let signature = desk.signature(&body);
    for changed in [body.replace(ALICE, BOB), format!("{body} "), body.replace("one", "two"), String::new()] {
        desk.refuses(SANDBOX, Some(&signature), &changed, ErrorCode::BadSignature).await?;
    }
    desk.takes(&body).await
}

#[tokio::test]
async fn reg_2_a_report_of_another_time_is_refused() -> Result<()> {
    let desk = Desk::open().await?;
    let body = report("one", ALICE, &begin_text(&desk.phone.identity));
    // A minute beyond the tolerance: no clock of a test is that far off.
    let millis = switchhook_protocol::time::millis(TOLERANCE) + 60_000;
    let early = Timestamp::from_millis(now().as_millis().saturating_sub(millis));
    let late = Timestamp::from_millis(now().as_millis().saturating_add(millis));
    for time in [early, late, Timestamp::from_millis(0)] {
        let signature = sign(desk.host.transit.secret.as_bytes(), body.as_bytes(), time);
        desk.refuses(SANDBOX, Some(&signature), &body, ErrorCode::BadSignature).await?;
    }
    desk.takes(&body).await
}

#[tokio::test]
async fn reg_2_a_report_to_nobody_is_refused() -> Result<()> {
    let desk = Desk::open().await?;
    let body = report("one", ALICE, &begin_text(&desk.phone.identity));
    let signature = desk.signature(&body);
    for (to, code) in [
        (("default", "elsewhere"), ErrorCode::NotFound),
        (("default", "else%20where"), ErrorCode::NotFound),
        (("nobody", "sandbox"), ErrorCode::UnknownTenant),
        (("no%20body", "sandbox"), ErrorCode::UnknownTenant),
    ] {
        desk.refuses(to, Some(&signature), &body, code).await?;
    }
    desk.takes(&body).await
}

#[tokio::test]
async fn reg_2_a_signed_report_that_is_none_is_malformed() -> Result<()> {
    let desk = Desk::open().await?;
    let whole = json!({ "id": "one", "from": ALICE, "to": SANDBOX_NUMBER, "text": "SWH a b" });
    let with = |field: &str, value: Value| {
        let mut changed = whole.clone();
        changed[field] = value;
        changed.to_string()
    };
    let bodies = [
        String::new(),
        "not JSON".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        with("id", json!(7)),
        with("id", json!("")),
        with("id", json!("o ne")),
        with("id", json!("o\0ne")),
        with("from", json!("+1")),
        with("from", json!("")),
        with("from", Value::Null),
        with("to", Value::Null),
        with("text", json!(["SWH"])),
    ];
    for body in bodies {
        desk.refuses_signed(&body, ErrorCode::Malformed).await?;
    }
    desk.refuses_signed(&with("id", json!("x".repeat(129))), ErrorCode::TooLarge).await
}

#[tokio::test]
async fn reg_2_a_report_above_the_limit_is_too_large() -> Result<()> {
    let desk = Desk::open().await?;
    let body = report("one", ALICE, &"x".repeat(TOO_LARGE));
    desk.refuses_signed(&body, ErrorCode::TooLarge).await?;
    desk.takes(&report("one", ALICE, &begin_text(&desk.phone.identity))).await
}

#[tokio::test]
async fn reg_2_a_text_that_no_method_claims_is_told_apart() -> Result<()> {
    let desk = Desk::open().await?;
    let text = begin_text(&desk.phone.identity);
    for other in
        ["", "hello", "SWH", &text.to_lowercase(), &format!("{text} more"), &text.replace("SWH", "SWH2")]
    {
        desk.refuses_signed(&report("one", ALICE, other), ErrorCode::NotClaimed).await?;
    }
    desk.takes(&report("one", ALICE, &text)).await
}

#[tokio::test]
async fn reg_2_a_text_with_a_token_or_a_device_of_nobody_or_of_another_begins_nothing() -> Result<()> {
    let desk = Desk::open().await?;
    let other = desk.host.stranger().await?;
    let (mine, theirs) = (&desk.phone.identity, &other.identity);
    let before = desk.host.stored().await?;
    for (token, device) in [
        ("nobodys-token", mine.device.as_str()),
        (mine.push_token.as_str(), "nobodys-device"),
        (mine.push_token.as_str(), theirs.device.as_str()),
        (theirs.push_token.as_str(), mine.device.as_str()),
        (mine.device.as_str(), mine.push_token.as_str()),
    ] {
        let body = report("one", ALICE, &format!("SWH {token} {device}"));
        desk.refuses_at(
            &before,
            SANDBOX,
            Some(&desk.signature(&body)),
            &body,
            ErrorCode::RegistrationMismatch,
        )
        .await?;
    }
    assert_eq!(desk.host.transit.count(&ALICE.parse()?), 0);
    Ok(())
}

#[tokio::test]
async fn reg_2_a_message_id_that_comes_again_with_another_body_is_a_conflict() -> Result<()> {
    let desk = Desk::open().await?;
    let text = begin_text(&desk.phone.identity);
    desk.takes(&report("one", ALICE, &text)).await?;
    let before = desk.host.stored().await?;

    for changed in [report("one", BOB, &text), report("one", ALICE, "hello")] {
        let signature = desk.signature(&changed);
        desk.refuses_at(&before, SANDBOX, Some(&signature), &changed, ErrorCode::Conflict).await?;
    }
    assert_eq!(desk.host.transit.count(&BOB.parse()?), 0);
    Ok(())
}

#[tokio::test]
async fn reg_2_an_answer_names_its_request_whatever_it_says() -> Result<()> {
    let desk = Desk::open().await?;
    let (good, nobodys) =
        (report("one", ALICE, &begin_text(&desk.phone.identity)), report("two", ALICE, "hello"));
    let long = "r".repeat(129);
    for (id, body, status, echoed) in [
        (Some("req-1"), &good, StatusCode::OK, Some("req-1")),
        (Some("req-2"), &good, StatusCode::OK, Some("req-2")),
        (Some("req-3"), &nobodys, StatusCode::UNPROCESSABLE_ENTITY, Some("req-3")),
        (Some("two words"), &good, StatusCode::OK, None),
        (Some(&*long), &good, StatusCode::OK, None),
        (None, &good, StatusCode::OK, None),
    ] {
        let request = desk.request(SANDBOX, Some(&desk.signature(body)), body);
        let request = if let Some(id) = id { request.header("X-Request-Id", id) } else { request };
        let answer = request.send().await?;
        let found = answer.headers().get("X-Request-Id").and_then(|id| id.to_str().ok());
        ensure!((answer.status(), found) == (status, echoed), "{id:?}: {} {found:?}", answer.status());
    }
    let unsigned = desk.request(SANDBOX, None, &good).header("X-Request-Id", "req-4").send().await?;
    ensure!(unsigned.headers().get("X-Request-Id").is_some_and(|id| id == "req-4"), "{unsigned:?}");
    Ok(())
}

/// Tenant and gateway of the first start.
const SANDBOX: (&str, &str) = ("default", "sandbox");

/// Where reports are handed in.
struct Desk {
    host: Host,
    phone: Phone,
    http: Client,
    /// Rows before anything was handed in.
    before: BTreeMap<String, i64>,
}

impl Desk {
    async fn open() -> Result<Self> {
        let host = Host::start().await?;
        let phone = host.stranger().await?;
        let before = host.stored().await?;
        Ok(Self { host, phone, http: Client::new(), before })
    }

    fn signature(&self, body: &str) -> String {
        sign(self.host.transit.secret.as_bytes(), body.as_bytes(), now())
    }

    fn request(
        &self,
        (tenant, gateway): (&str, &str),
        signature: Option<&str>,
        body: &str,
    ) -> RequestBuilder {
        let host = self.host.addresses().http;
        let url = format!("http://{host}/v1/{tenant}/transits/{gateway}/messages");
        let request = self.http.post(url).header(CONTENT_TYPE, "application/json").body(body.to_owned());
        match signature {
            Some(signature) => request.header(SIGNATURE_HEADER, signature),
            None => request,
        }
    }

    async fn post(
        &self,
        to: (&str, &str),
        signature: Option<&str>,
        body: &str,
    ) -> Result<(StatusCode, String, Value)> {
        let answer = self.request(to, signature, body).send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        Ok((status, kind.to_owned(), answer.json().await.unwrap_or_default()))
    }

    /// The report is good: what came before it has spoiled nothing.
    async fn takes(&self, body: &str) -> Result<()> {
        let (status, _, answer) = self.post(SANDBOX, Some(&self.signature(body)), body).await?;
        ensure!(status == StatusCode::OK, "not taken: {status} {answer}");
        Ok(())
    }

    async fn refuses(
        &self,
        to: (&str, &str),
        signature: Option<&str>,
        body: &str,
        code: ErrorCode,
    ) -> Result<()> {
        self.refuses_at(&self.before, to, signature, body, code).await
    }

    async fn refuses_signed(&self, body: &str, code: ErrorCode) -> Result<()> {
        self.refuses(SANDBOX, Some(&self.signature(body)), body, code).await
    }

    /// The report gets a problem with this code, and rows are as they were.
    async fn refuses_at(
        &self,
        before: &BTreeMap<String, i64>,
        to: (&str, &str),
        signature: Option<&str>,
        body: &str,
        code: ErrorCode,
    ) -> Result<()> {
        let (status, kind, problem) = self.post(to, signature, body).await?;
        let shown: String = body.chars().take(120).collect();
        ensure!(published(&problem) == Some(code), "{status} {problem} instead of {code}: {shown}");
        ensure!(status.as_u16() == code.status(), "{status} with {code}");
        ensure!(kind == "application/problem+json", "a problem as {kind}");
        ensure!(self.host.stored().await? == *before, "{code} has stored something");
        Ok(())
    }
}

fn report(id: &str, from: &str, text: &str) -> String {
    json!({ "id": id, "from": from, "to": SANDBOX_NUMBER, "text": text }).to_string()
}

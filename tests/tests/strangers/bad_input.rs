//! Sockets that speak badly, before `hello` and after it.

use anyhow::Result;
use serde_json::{Value, json};
use switchhook_client::identity::Identity;
use switchhook_protocol::{MAX_FRAME, error::ErrorCode};
use switchhook_tests::{
    host::{Host, tenant},
    raw::{Heard, NoSocket, Raw, hello},
};

use crate::{published, stranger};

/// How many frames a stranger has before it must have said `hello`.
const PATIENCE: usize = 8;

#[tokio::test]
async fn a_frame_of_no_known_form_is_answered_and_the_connection_goes_on() -> Result<()> {
    let host = Host::start().await?;
    let mut raw = stranger(&host).await?;
    let before = host.stored().await?;
    let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let malformed = [
        String::new(),
        "GET / HTTP/1.1".to_owned(),
        "{".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        r#"{"type":7}"#.to_owned(),
        r#"{"type":"request","op":"sync"}"#.to_owned(),
        r#"{"type":"request","id":"r"}"#.to_owned(),
        r#"{"type":"request","id":"not an id","op":"sync"}"#.to_owned(),
        r#"{"type":"request","id":"r","op":"cancel","body":7}"#.to_owned(),
        r#"{"type":"request","id":"r","op":"cancel","body":{}}"#.to_owned(),
        r#"{"type":"request","id":"r","op":"cancel","body":{"ticket":7}}"#.to_owned(),
        r#"{"type":"ack","seq":-1}"#.to_owned(),
        r#"{"type":"ack","seq":"1"}"#.to_owned(),
        r#"{"type":"hello"}"#.to_owned(),
        format!(r#"{{"type":"request","id":"r","op":"cancel","body":{nested}}}"#),
        format!(r#"{{"type":"signal","ticket":"t","to":"a","data":{nested}}}"#),
        format!(r#"{{"type":"presence","ticket":"t","to":"a","data":{nested}}}"#),
        r#"{"type":"presence","ticket":"t","to":7,"data":1}"#.to_owned(),
        r#"{"type":"presence","data":1}"#.to_owned(),
    ];
    for frame in malformed {
        raw.say(frame.clone()).await?;
        let shown: String = frame.chars().take(80).collect();
        assert_eq!(published(&raw.message().await?), Some(ErrorCode::Malformed), "{shown}");
        assert!(raw.serves().await?, "{shown}");
    }
    assert_eq!(host.stored().await?, before);
    Ok(())
}

#[tokio::test]
async fn an_unknown_type_or_operation_is_unsupported_and_the_connection_goes_on() -> Result<()> {
    let host = Host::start().await?;
    let mut raw = stranger(&host).await?;

    let answer = raw.request("teleport", json!({})).await?;
    assert_eq!(published(&answer), Some(ErrorCode::Unsupported));
    raw.say(r#"{"type":"teleport","id":"9"}"#).await?;
    let answer = raw.message().await?;
    assert_eq!((published(&answer), &answer["id"]), (Some(ErrorCode::Unsupported), &json!("9")));
    raw.say(r#"{"type":"teleport"}"#).await?;
    assert_eq!(published(&raw.message().await?), Some(ErrorCode::Unsupported));

    assert!(raw.serves().await?);
    Ok(())
}

#[tokio::test]
async fn who_is_known_does_not_become_somebody_else() -> Result<()> {
    let host = Host::start().await?;
    let (_, other) = host.stranger().await?.leave().await;
    let mut raw = stranger(&host).await?;
    let before = host.stored().await?;

    raw.say(hello("any", &tenant("default")?, &other)?.to_string()).await?;

    assert_eq!(published(&raw.message().await?), Some(ErrorCode::Conflict));
    assert!(raw.serves().await?);
    assert_eq!(host.stored().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_binary_frame_ends_the_connection() -> Result<()> {
    let host = Host::start().await?;
    let mut known = stranger(&host).await?;
    known.say_binary(b"{\"type\":\"ping\"}").await?;
    assert_eq!(known.close_code().await?, 1008);

    let mut unknown = Raw::connect(host.addresses().http, "default").await?;
    unknown.challenge().await?;
    unknown.say_binary(&[0]).await?;
    assert_eq!(unknown.close_code().await?, 1008);
    Ok(())
}

#[tokio::test]
async fn a_frame_above_the_limit_ends_the_connection_and_one_at_the_limit_does_not() -> Result<()> {
    let host = Host::start().await?;
    let mut raw = stranger(&host).await?;
    let before = host.stored().await?;

    raw.say(" ".repeat(MAX_FRAME)).await?;
    assert_eq!(published(&raw.message().await?), Some(ErrorCode::Malformed));
    raw.say(" ".repeat(MAX_FRAME + 1)).await?;

    assert_eq!(raw.hear().await?, Heard::Closed(1009));
    assert_eq!(host.stored().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_socket_without_the_subprotocol_is_none() -> Result<()> {
    let host = Host::start().await?;
    for subprotocol in [None, Some("switchhook.v0.json"), Some("switchhook")] {
        let refused = Raw::try_connect(host.addresses().http, "default", subprotocol).await?;
        assert_eq!(refused.err(), Some(NoSocket { status: 404, code: "unsupported".to_owned() }));
    }
    Ok(())
}

#[tokio::test]
async fn an_unknown_tenant_has_no_sockets() -> Result<()> {
    let host = Host::start().await?;
    for nobody in ["nobody", "no%20body", "DEFAULT", "default%00"] {
        let refused = Raw::try_connect(host.addresses().http, nobody, Some("switchhook.v1.json")).await?;
        let expected = NoSocket { status: 404, code: "unknown-tenant".to_owned() };
        assert_eq!(refused.err(), Some(expected), "{nobody}");
    }
    Ok(())
}

#[tokio::test]
async fn a_hello_that_does_not_prove_its_device_is_final() -> Result<()> {
    let host = Host::start().await?;
    let tenant = tenant("default")?;
    let (_, alice) = host.stranger().await?.leave().await;
    let (_, mallory) = host.stranger().await?.leave().await;
    let before = host.stored().await?;
    let foreign_key = Identity { key: mallory.key.clone(), ..alice.clone() };
    let foreign_token = Identity { push_token: alice.push_token.clone(), ..mallory.clone() };
    let foreign_device = Identity { device: alice.device.clone(), ..mallory.clone() };
    let unknown_token = Identity { push_token: "nobodys".parse()?, ..alice.clone() };

    for lie in [foreign_key, foreign_token, foreign_device, unknown_token] {
        let refused = refused_hello(&host, |nonce| hello(nonce, &tenant, &lie)).await?;
        assert_eq!(refused, (Some(ErrorCode::Unauthorized), 4501));
    }
    let other_nonce = refused_hello(&host, |_| hello("another", &tenant, &alice)).await?;
    assert_eq!(other_nonce, (Some(ErrorCode::Unauthorized), 4501));
    let other_tenant = refused_hello(&host, |nonce| hello(nonce, &"acme".parse()?, &alice)).await?;
    assert_eq!(other_tenant, (Some(ErrorCode::Unauthorized), 4501));
    let cut = refused_hello(&host, |nonce| {
        let mut said = hello(nonce, &tenant, &alice)?;
        said["proof"] = json!("AAAA");
        Ok(said)
    });
    assert_eq!(cut.await?, (Some(ErrorCode::Unauthorized), 4501));

    assert_eq!(host.stored().await?, before);
    assert!(Raw::welcomed(host.addresses().http, &tenant, &alice).await?.serves().await?);
    Ok(())
}

#[tokio::test]
async fn a_proof_of_an_older_nonce_is_none() -> Result<()> {
    let host = Host::start().await?;
    let tenant = tenant("default")?;
    let (_, identity) = host.stranger().await?.leave().await;
    let mut first = Raw::connect(host.addresses().http, "default").await?;
    let said = hello(&first.challenge().await?, &tenant, &identity)?;
    first.say(said.to_string()).await?;
    assert_eq!(first.message().await?["type"], "welcome");

    let replayed = refused_hello(&host, |_| Ok(said)).await?;

    assert_eq!(replayed, (Some(ErrorCode::Unauthorized), 4501));
    assert!(first.serves().await?, "who replays does not replace the device");
    Ok(())
}

#[tokio::test]
async fn before_hello_nothing_is_done_and_hello_is_still_heard() -> Result<()> {
    let host = Host::start().await?;
    let tenant = tenant("default")?;
    let (_, identity) = host.stranger().await?.leave().await;
    let before = host.stored().await?;
    let mut raw = Raw::connect(host.addresses().http, "default").await?;
    let nonce = raw.challenge().await?;

    assert_eq!(published(&raw.request("sync", json!({})).await?), Some(ErrorCode::Unauthorized));
    for (frame, code) in [
        (r#"{"type":"ack","seq":1}"#, ErrorCode::Unauthorized),
        (r#"{"type":"signal","ticket":"t","to":"a","data":1}"#, ErrorCode::Unauthorized),
        (r#"{"type":"presence","ticket":"t","to":"a","data":1}"#, ErrorCode::Unauthorized),
        ("nonsense", ErrorCode::Malformed),
    ] {
        raw.say(frame).await?;
        assert_eq!(published(&raw.message().await?), Some(code), "{frame}");
    }
    assert_eq!(host.stored().await?, before);

    raw.say(hello(&nonce, &tenant, &identity)?.to_string()).await?;
    assert_eq!(raw.message().await?["type"], "welcome");
    assert!(raw.serves().await?);
    Ok(())
}

#[tokio::test]
async fn an_enrolment_without_its_key_stores_nothing() -> Result<()> {
    let host = Host::start().await?;
    let (_, identity) = host.stranger().await?.leave().await;
    let before = host.stored().await?;
    let mut raw = Raw::connect(host.addresses().http, "default").await?;
    raw.challenge().await?;
    let proof = hello("another", &tenant("default")?, &identity)?["proof"].clone();
    let enrol = json!({
        "type": "enrol", "application": "test", "device_kind": "phone", "proof": proof,
        "device_key": identity.key.public(),
    });

    raw.say(enrol.to_string()).await?;

    assert_eq!(published(&raw.message().await?), Some(ErrorCode::Unauthorized));
    assert_eq!(host.stored().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_stranger_has_only_so_many_bad_frames_and_a_known_device_any_number() -> Result<()> {
    let host = Host::start().await?;
    let mut raw = Raw::connect(host.addresses().http, "default").await?;
    raw.challenge().await?;
    for _ in 0..PATIENCE {
        raw.say("nonsense").await?;
        assert_eq!(published(&raw.message().await?), Some(ErrorCode::Malformed));
    }
    assert_eq!(raw.hear().await?, Heard::Closed(1008));

    let mut known = stranger(&host).await?;
    for _ in 0..4 * PATIENCE {
        known.say("nonsense").await?;
        assert_eq!(published(&known.message().await?), Some(ErrorCode::Malformed));
    }
    assert!(known.serves().await?);
    Ok(())
}

/// Code and close code of a hello that a new socket says.
async fn refused_hello(
    host: &Host,
    say: impl FnOnce(&str) -> Result<Value>,
) -> Result<(Option<ErrorCode>, u16)> {
    let mut raw = Raw::connect(host.addresses().http, "default").await?;
    let nonce = raw.challenge().await?;
    raw.say(say(&nonce)?.to_string()).await?;
    Ok((published(&raw.message().await?), raw.close_code().await?))
}

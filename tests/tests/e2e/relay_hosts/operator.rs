//! The operator's side of relay hosts: commands, tokens, and what a token of theirs may not do.

use anyhow::{Context as _, Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use switchhook_tests::host::Host;
use tokio::process::Command;

use super::{PROGRAM, Stage, relay_of};

#[tokio::test]
async fn rel_1_the_operator_lists_drains_and_removes_relay_hosts() -> Result<()> {
    let mut stage = Stage::start().await?;
    let listed = run(&stage.host, &["list"]).await?;
    let names: Vec<_> =
        listed["relay_hosts"].as_array().context("no list")?.iter().map(|it| &it["host"]).collect();
    assert_eq!(names.len(), 3, "{listed}");
    assert_eq!(&names[..1], [&json!("eu-1")]);
    assert_eq!(listed["relay_hosts"][1]["built_in"], json!(true));

    run(&stage.host, &["drain", "eu-1"]).await?;
    let agreed = stage.agree().await?;
    assert_eq!(relay_of(&agreed.inviter.1)?.server, stage.us.relay);
    run(&stage.host, &["drain", "eu-1", "--undo"]).await?;
    let agreed = stage.agree().await?;
    assert_eq!(relay_of(&agreed.inviter.1)?.server, stage.eu.relay);

    run(&stage.host, &["remove", "eu-1"]).await?;
    // Its beats are refused from now on: it does not come back.
    let agreed = stage.agree().await?;
    assert_eq!(relay_of(&agreed.inviter.1)?.server, stage.us.relay);
    let (status, _) = stage.host.admin.ask(Method::DELETE, "relay-hosts/eu-1", None).await?;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (_, audit) = stage.host.admin.ask(Method::GET, "audit", None).await?;
    let done: Vec<_> =
        audit["entries"].as_array().context("no audit")?.iter().map(|it| &it["action"]).collect();
    assert!(done.ends_with(&[
        &json!("relay-host.drain"),
        &json!("relay-host.drain"),
        &json!("relay-host.remove")
    ]));
    Ok(())
}

#[tokio::test]
async fn the_token_of_a_relay_host_is_for_that_host_alone() -> Result<()> {
    let host = Host::start().await?;
    let made = run(&host, &["add", "eu-1"]).await?;
    let token = made["token"].as_str().context("no token")?;
    assert_eq!(made["relay_host"], json!("eu-1"));
    let relay = host.admin.with_token(token);

    let (status, orders) = relay.ask(Method::GET, "relay-host", None).await?;
    assert_eq!((status, &orders["host"]), (StatusCode::OK, &json!("eu-1")));
    for path in ["relay-hosts", "tokens", "tenants", "audit", "tenants/default/limits"] {
        let (status, _) = relay.ask(Method::GET, path, None).await?;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
    }
    let find = format!("http://{}/v1/default/registrations/find", host.addresses().http);
    let answer = reqwest::Client::new().post(find).bearer_auth(token).json(&json!({})).send().await?;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    // Nor is the operator a relay host.
    let (status, _) = host.admin.ask(Method::GET, "relay-host", None).await?;
    assert_eq!(status, StatusCode::FORBIDDEN);
    Ok(())
}

#[tokio::test]
async fn what_no_client_could_reach_is_no_relay_host() -> Result<()> {
    let host = Host::start().await?;
    let relay = host.admin.with_token(&host.admin.add_relay_host("eu-1").await?);
    let beat = |main: &str, region: &str| {
        let addresses = json!({ "main": main, "other": null, "tls": null });
        json!({ "region": region, "addresses": addresses, "capacity": 1, "held": 0, "knows_until": 0 })
    };
    for wrong in [
        beat("0.0.0.0:3478", "eu"),
        beat("192.0.2.1:0", "eu"),
        beat("192.0.2.1:3478", "E U"),
        json!({ "region": "eu" }),
    ] {
        let (status, problem) = relay.ask(Method::PUT, "relay-host", Some(&wrong)).await?;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("malformed")), "{wrong}");
    }
    assert_eq!(host.admin.relay_host("eu-1").await?, None);
    for id in ["node-1", "not an id"] {
        let body = json!({ "label": "test", "relay_host": id });
        let (status, _) = host.admin.ask(Method::POST, "tokens", Some(&body)).await?;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{id}");
    }
    Ok(())
}

async fn run(host: &Host, arguments: &[&str]) -> Result<Value> {
    let mut command = Command::new(PROGRAM);
    command.arg("relay-hosts").args(arguments).arg("--json");
    command.args(["--server", &format!("http://{}", host.addresses().http), "--data"]).arg(host.data());
    let output = command.env_remove("SWITCHHOOK_TOKEN").kill_on_drop(true).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

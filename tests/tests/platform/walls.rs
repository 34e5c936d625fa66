//! Tokens and tenants are walls: each address is tried with what does not open it.

use anyhow::{Context as _, Result};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use switchhook_built_guests as guests;
use switchhook_tests::{admin::Admin, host::Host};

use crate::install;

const ROUTER: &str = "invite-router/my-router";

/// Everything that can be asked of a plugin.
fn requests() -> Vec<(Method, String, Option<Value>)> {
    let of = |what: &str| format!("plugins/{ROUTER}{what}");
    vec![
        (Method::GET, "plugins".to_owned(), None),
        (Method::GET, of(""), None),
        (Method::GET, of("/versions/1"), None),
        (Method::POST, of("/versions"), Some(json!({}))),
        (Method::POST, of("/activate"), Some(json!({ "version": 1 }))),
        (Method::POST, of("/rollback"), Some(json!({}))),
        (Method::POST, of("/deactivate"), Some(json!({}))),
        (Method::GET, of("/configuration"), None),
        (Method::PUT, of("/configuration"), Some(json!(7))),
        (Method::GET, of("/grants"), None),
        (Method::PUT, of("/grants"), Some(json!({ "key_value_bytes": 9 }))),
        (Method::GET, of("/secrets"), None),
        (Method::PUT, of("/secrets/crm"), Some(json!({ "value": "mine" }))),
        (Method::DELETE, of("/secrets/crm"), None),
        (Method::GET, of("/logs"), None),
        (Method::GET, of("/metrics"), None),
        (Method::GET, "audit".to_owned(), None),
        (Method::GET, "tokens".to_owned(), None),
    ]
}

#[tokio::test]
async fn a_token_of_one_tenant_opens_nothing_of_another() -> Result<()> {
    let host = Host::start().await?;
    install(&host.admin, ROUTER, guests::HUNTS, json!(5)).await?;
    let acme = host.admin.at("acme");
    acme.create_tenant().await?;
    let acmes = acme.with_token(&acme.create_token().await?);
    let before = host.admin.get(&format!("plugins/{ROUTER}")).await?;

    let intruder = acmes.at("default");
    refused(&intruder, StatusCode::FORBIDDEN).await?;

    assert_eq!(host.admin.get(&format!("plugins/{ROUTER}")).await?, before);
    let own = acmes.get("plugins").await?;
    let own = own.get("plugins").and_then(Value::as_array).context("plugins")?;
    assert!(own.iter().all(|plugin| plugin.get("name") != Some(&json!("my-router"))));
    let (status, _) = acmes.ask(Method::GET, "tenants", None).await?;
    assert_eq!(status, StatusCode::FORBIDDEN, "tenants are the operator's");
    let (status, _) = acmes.ask(Method::POST, "tokens", Some(&json!({ "label": "mine" }))).await?;
    assert_eq!(status, StatusCode::FORBIDDEN, "so are its tokens");
    Ok(())
}

#[tokio::test]
async fn a_token_that_was_taken_back_or_is_over_opens_nothing() -> Result<()> {
    let host = Host::start().await?;
    let short = json!({ "label": "short", "expires_in_ms": 0 });
    let (_, made) = host.admin.ask_tenant(Method::POST, "tokens", Some(&short)).await?;
    let over = made.get("token").and_then(Value::as_str).context("a token")?;
    refused(&host.admin.with_token(over), StatusCode::UNAUTHORIZED).await?;

    let (_, made) = host.admin.ask_tenant(Method::POST, "tokens", Some(&json!({ "label": "ci" }))).await?;
    let (token, id) = (made.get("token").and_then(Value::as_str), made.get("id").and_then(Value::as_str));
    let (token, id) = (token.context("a token")?, id.context("an id")?);
    let ci = host.admin.with_token(token);
    ci.get("plugins").await?;
    let (status, _) = host.admin.ask_tenant(Method::DELETE, &format!("tokens/{id}"), None).await?;
    assert_eq!(status, StatusCode::NO_CONTENT);
    refused(&ci, StatusCode::UNAUTHORIZED).await?;
    refused(&host.admin.with_token("nonsense"), StatusCode::UNAUTHORIZED).await
}

#[tokio::test]
async fn the_operator_has_several_tokens_and_takes_them_back() -> Result<()> {
    let host = Host::start().await?;
    let (status, made) = host.admin.ask(Method::POST, "tokens", Some(&json!({ "label": "deploy" }))).await?;
    assert_eq!(status, StatusCode::CREATED);
    let (token, id) = (made.get("token").and_then(Value::as_str), made.get("id").and_then(Value::as_str));
    let deploy = host.admin.with_token(token.context("a token")?);
    assert_eq!(deploy.ask(Method::GET, "tenants", None).await?.0, StatusCode::OK);

    let path = format!("tokens/{}", id.context("an id")?);
    assert_eq!(host.admin.ask(Method::DELETE, &path, None).await?.0, StatusCode::NO_CONTENT);

    assert_eq!(deploy.ask(Method::GET, "tenants", None).await?.0, StatusCode::UNAUTHORIZED);
    assert_eq!(host.admin.ask_tenant(Method::DELETE, &path, None).await?.0, StatusCode::NOT_FOUND);
    Ok(())
}

async fn refused(admin: &Admin, wanted: StatusCode) -> Result<()> {
    for (method, path, body) in requests() {
        let (status, answer) = admin.ask_tenant(method.clone(), &path, body.as_ref()).await?;
        assert_eq!(status, wanted, "{method} {path}: {answer}");
    }
    Ok(())
}

//! A laptop without a mail server: the sandbox has mailboxes.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::json;
use switchhook_protocol::{endpoint::EndpointId, registration::RegisterLink};
use switchhook_server::Mailboxes;
use switchhook_tests::{
    host::Host,
    profile::{register, sign_in, user, validate},
    waiting::in_time,
};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

const BOB: &str = "bob@example.org";

#[tokio::test]
async fn reg_7_the_first_tenant_has_the_sandboxs_mail_server() -> Result<()> {
    let host = Host::start().await?;
    let given = host.admin.get("mail-server").await?;
    ensure!(given["host"] == "127.0.0.1" && given["port"] == 7472 && given["security"] == "plain", "{given}");
    let acme = host.admin.at("acme");
    acme.create_tenant().await?;
    ensure!(acme.get("mail-server").await.is_err(), "another tenant has none");
    Ok(())
}

/// REG-8, REG-9
#[tokio::test]
async fn reg_7_an_address_is_registered_by_the_mail_in_the_sandboxs_mailbox() -> Result<()> {
    let host = Host::start().await?;
    let mailboxes = Mailboxes::default();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let _stopped = stop.clone().drop_guard();
    mailboxes.serve(listener, &tasks, stop);
    let mut server = host.admin.get("mail-server").await?;
    server["port"] = json!(port);
    let (status, body) = host.admin.ask_tenant(Method::PUT, "mail-server", Some(&server)).await?;
    ensure!(status.is_success(), "{status} {body}");
    user(&host.admin, "bob", &[]).await?;
    let mut phone = host.stranger().await?;
    let bob: EndpointId = BOB.parse()?;

    let profile = sign_in(&phone, "bob").await?;
    let validation = validate(&phone, &profile, &[BOB]).await?;
    let mail = in_time("the mail", mailboxes.next_mail(&bob, 0)).await?;
    let (headers, text) = mail.split_once("\n\n").context("a mail has headers and a text")?;
    let token =
        headers.lines().find_map(|line| line.strip_prefix("Switchhook-Token: ")).context("no token")?;
    ensure!(text.contains(token), "a person reads the token too: {text}");
    let link = RegisterLink { address: bob.clone(), token: token.to_owned() };
    in_time("the answer", phone.client.register_link(&link)).await??;
    ensure!(phone.expect_notice().await?.word == "validated");
    register(&phone, &profile, &validation, &bob).await?;

    ensure!(phone.registrations().await? == [bob]);
    Ok(())
}

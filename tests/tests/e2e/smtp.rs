//! Mail servers of others with TLS and passwords, and those where nothing is sent.

use anyhow::{Result, ensure};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use switchhook_tests::{certificates::Authority, host::Host, smtp::Smtp, waiting::until};

use crate::mail::{begin, host, install};

const ACCOUNT: (&str, &str) = ("acme", "a secret of acme's");
const BOB: &str = "bob@example.com";

#[tokio::test]
async fn reg_7_mail_goes_by_tls_and_by_starttls_signed_in() -> Result<()> {
    let test = "reg_7_mail_goes_by_tls_and_by_starttls_signed_in";
    let authority = Authority::new("Mail")?;
    let certified = authority.server()?;
    let host = host(Some(&authority.pem())).await?;
    install(&host.admin).await?;
    let phone = host.stranger().await?;
    for security in ["tls", "starttls"] {
        let Some(mut smtp) = Smtp::with(test, (security, Some(&certified)), Some(ACCOUNT)).await? else {
            return Ok(());
        };
        smtp.connect(&host.admin).await?;
        begin(&phone, BOB).await??;
        let mail = smtp.next_mail().await?;
        ensure!(mail.secure && mail.user.as_deref() == Some(ACCOUNT.0), "{security}: {mail:?}");
    }
    Ok(())
}

#[tokio::test]
async fn reg_7_a_wrong_password_fails_a_mail_and_the_right_one_stays_with_its_server() -> Result<()> {
    let test = "reg_7_a_wrong_password_fails_a_mail_and_the_right_one_stays_with_its_server";
    let authority = Authority::new("Mail")?;
    let certified = authority.server()?;
    let Some(mut smtp) = Smtp::with(test, ("tls", Some(&certified)), Some(ACCOUNT)).await? else {
        return Ok(());
    };
    let host = host(Some(&authority.pem())).await?;
    install(&host.admin).await?;
    let phone = host.stranger().await?;
    smtp.connect_with(&host.admin, |settings| settings["password"] = json!("another one")).await?;
    begin(&phone, BOB).await??;
    smtp.next("refused").await?;
    failed(&host, 1.0).await?;

    smtp.connect(&host.admin).await?;
    let renamed = |settings: &mut Value| {
        settings["password"] = Value::Null;
        settings["sender_name"] = json!("Acme Ltd");
    };
    smtp.connect_with(&host.admin, renamed).await?;
    begin(&phone, BOB).await??;
    ensure!(smtp.next_mail().await?.user.as_deref() == Some(ACCOUNT.0));

    // Whoever sets another server gets no password by it.
    let mut elsewhere = smtp.settings();
    renamed(&mut elsewhere);
    elsewhere["host"] = json!("localhost");
    let (status, body) = host.admin.ask_tenant(Method::PUT, "mail-server", Some(&elsewhere)).await?;
    ensure!(status == StatusCode::BAD_REQUEST, "{status} {body}");
    let shown = host.admin.get("mail-server").await?;
    ensure!(shown["host"] == "127.0.0.1" && !shown.to_string().contains(ACCOUNT.1), "{shown}");
    Ok(())
}

#[tokio::test]
async fn reg_7_a_server_that_nobody_vouches_for_or_without_starttls_gets_nothing() -> Result<()> {
    let test = "reg_7_a_server_that_nobody_vouches_for_or_without_starttls_gets_nothing";
    let certified = Authority::new("Nobody")?.server()?;
    let Some(foreign) = Smtp::with(test, ("tls", Some(&certified)), Some(ACCOUNT)).await? else {
        return Ok(());
    };
    let Some(clear) = Smtp::start(test).await? else { return Ok(()) };
    let host = host(None).await?;
    install(&host.admin).await?;
    let phone = host.stranger().await?;

    foreign.connect(&host.admin).await?;
    begin(&phone, BOB).await??;
    failed(&host, 1.0).await?;
    clear.connect_with(&host.admin, |settings| settings["security"] = json!("starttls")).await?;
    begin(&phone, BOB).await??;
    failed(&host, 2.0).await?;
    ensure!(foreign.unread() == 0 && clear.unread() == 0);
    Ok(())
}

#[tokio::test]
async fn reg_7_a_mail_server_inside_the_operators_network_is_refused_unless_allowed() -> Result<()> {
    let host = Host::with(|settings| {
        settings.gateways.allow_loopback = true;
        settings.http.web_url = "https://calls.example".to_owned().try_into().ok();
    })
    .await?;
    for (server, security, fine) in [
        ("10.1.2.3", "tls", false),
        ("169.254.169.254", "plain", false),
        ("9.9.9.9", "plain", false),
        ("9.9.9.9", "starttls", true),
        ("127.0.0.1", "plain", true),
    ] {
        let settings =
            json!({ "host": server, "port": 25, "security": security, "sender": "a@acme.example" });
        let (status, body) = host.admin.ask_tenant(Method::PUT, "mail-server", Some(&settings)).await?;
        ensure!(status.is_success() == fine, "{server} {security}: {status} {body}");
    }
    let (status, _) = host.admin.ask_tenant(Method::DELETE, "mail-server", None).await?;
    ensure!(status == StatusCode::NO_CONTENT, "{status}");
    let (status, _) = host.admin.ask_tenant(Method::DELETE, "mail-server", None).await?;
    ensure!(status == StatusCode::NOT_FOUND, "{status}");
    let audit = host.admin.get("audit").await?.to_string();
    ensure!(audit.contains("mail-server.put") && audit.contains("mail-server.remove"), "{audit}");
    Ok(())
}

async fn failed(host: &Host, count: f64) -> Result<()> {
    let failed = "switchhook_mails_total{outcome=\"failed\"}";
    until("the failure", async || Ok(host.admin.metric(failed).await?.filter(|failures| *failures >= count)))
        .await
        .map(drop)
}

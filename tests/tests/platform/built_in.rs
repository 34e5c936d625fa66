//! Built-in plugins of a tenant that an earlier version has made.

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use switchhook_tests::{
    admin::Admin,
    host::Host,
    profile::{PASSWORD, email, sign_in, user},
    waiting::in_time,
};

const METHOD: &str = "registration-method/register-email";

/// As the versions before `register-email` left it, and with an older router, which the tenant has configured.
const OLDER: [&str; 3] = [
    "DELETE FROM plugin_versions WHERE name = 'register-email'",
    "UPDATE plugin_versions SET digest = zeroblob(32), state = 'inactive' WHERE name = 'nat-policy-standard'",
    "UPDATE plugin_versions SET configuration = '{\"patience_ms\":1000}' WHERE name = 'nat-policy-standard'",
];

#[tokio::test]
async fn plug_2_a_tenant_of_an_earlier_version_gets_a_built_in_plugin_when_it_asks_for_it() -> Result<()> {
    let host = of_an_earlier_version().await?;
    user(&host.admin, "bob", &[]).await?;
    let phone = host.stranger().await?;
    let refused = in_time("the answer", email(&phone)?.sign_in("bob", PASSWORD)).await?;
    ensure!(refused.is_err(), "an upgrade activates nothing");

    let offered = offer(&host.admin).await?;
    let by_email = of(&offered, "register-email")?;
    ensure!(by_email["new"] == true && by_email["state"] == "inactive", "{by_email}");
    let sms = of(&offered, "register-sms")?;
    ensure!(sms["new"] == false && sms["state"] == "active", "{sms}");
    let shown = host.admin.get(&format!("plugins/{METHOD}")).await?;
    ensure!(shown["active_version"].is_null(), "nor does the offer: {shown}");

    host.admin.changed(METHOD, "activate", &json!({ "version": 1 })).await?;
    sign_in(&phone, "bob").await?;
    let audit = host.admin.get("audit").await?.to_string();
    ensure!(audit.contains("plugin.upload") && audit.contains(METHOD), "{audit}");
    Ok(())
}

#[tokio::test]
async fn plug_2_a_newer_built_in_plugin_keeps_what_the_older_was_told_and_is_offered_once() -> Result<()> {
    let host = of_an_earlier_version().await?;
    let first = offer(&host.admin).await?;
    let nat = of(&first, "nat-policy-standard")?;
    ensure!(nat["version"] == 2 && nat["new"] == true, "{nat}");
    let path = "plugins/nat-policy/nat-policy-standard/versions/2";
    let version = host.admin.get(path).await?;
    ensure!(version["configuration"] == json!({ "patience_ms": 1000 }), "{version}");

    let again = offer(&host.admin).await?;
    let new = again.as_array().context("no list")?.iter().filter(|plugin| plugin["new"] == true);
    ensure!(new.count() == 0 && of(&again, "nat-policy-standard")?["version"] == 2, "{again}");
    Ok(())
}

async fn of_an_earlier_version() -> Result<Host> {
    let mut host = Host::start().await?;
    host.stop().await;
    let options = SqliteConnectOptions::new().filename(host.data().join("switchhook.db"));
    let mut connection = SqliteConnection::connect_with(&options).await?;
    for statement in OLDER {
        sqlx::query(statement).execute(&mut connection).await?;
    }
    connection.close().await?;
    host.start_again().await?;
    Ok(host)
}

async fn offer(admin: &Admin) -> Result<Value> {
    let (status, offered) = admin.ask_tenant(Method::POST, "built-in-plugins", None).await?;
    ensure!(status.is_success(), "{status} {offered}");
    Ok(offered)
}

fn of<'a>(offered: &'a Value, name: &str) -> Result<&'a Value> {
    let mut plugins = offered.as_array().context("no list")?.iter();
    plugins.find(|plugin| plugin["name"] == name).context("it is not offered")
}

//! Tenants and tokens, from the command line, on a running server.

use std::{fs, process::Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use switchhook_tests::process::Process;
use tokio::process::Command;

use crate::project::PROGRAM;

/// A server, and whoever administers it.
struct Office {
    server: Process,
    data: tempfile::TempDir,
}

#[tokio::test]
async fn plug_1_a_tenants_administrator_is_made_works_within_the_tenant_and_is_revoked() -> Result<()> {
    let office = Office::open().await?;
    office.run(&["tenant", "create", "acme"], None).await?.context("the operator is refused")?;
    let tenants = office.run(&["tenant", "list"], None).await?.context("the operator is refused")?;
    ensure!(tenants["tenants"] == serde_json::json!(["acme", "default"]), "{tenants:#}");

    let made = office.run(&["token", "create", "ci", "--tenant", "acme"], None).await?.context("no token")?;
    let token = made["token"].as_str().context("no token")?;
    let own = ["token", "list", "--tenant", "acme"];
    let listed = office.run(&own, Some(token)).await?.context("its own tenant refuses it")?;
    let id = listed[0]["id"].as_str().context("no id")?.to_owned();
    ensure!(!listed.to_string().contains(token), "a token is shown twice");
    ensure!(office.run(&["tenant", "list"], Some(token)).await?.is_none(), "a tenant sees the others");

    office.run(&["token", "revoke", &id, "--tenant", "acme"], None).await?.context("not revoked")?;
    ensure!(office.run(&own, Some(token)).await?.is_none(), "a revoked token counts");
    Ok(())
}

#[tokio::test]
async fn reg_11_the_registration_store_is_administered_from_the_command_line() -> Result<()> {
    let office = Office::open().await?;
    let listed = office.run(&["registration", "list", "--endpoint", "+15550100"], None).await?;
    ensure!(listed == Some(serde_json::json!({ "registrations": [] })), "{listed:?}");
    let settings =
        ["registration", "settings", "--again", "on-wish", "--add-test-number", "+12125550100", "424242"];
    office.run(&settings, None).await?.context("the settings are refused")?;
    let shown = office.run(&["registration", "settings"], None).await?.context("no settings")?;
    ensure!(shown["again"] == "on-wish" && shown["test_numbers"][0]["number"] == "+12125550100", "{shown:#}");
    let real = ["registration", "settings", "--add-test-number", "+4915112345678", "424242"];
    ensure!(office.run(&real, None).await?.is_none(), "a number that may be somebody's is a test number");

    let person = office.run(&["registration", "export", "+15550100"], None).await?.context("no export")?;
    ensure!(person["devices"] == serde_json::json!([]), "{person:#}");
    let erase = ["registration", "erase", "+15550100"];
    ensure!(office.run(&erase, None).await?.is_none(), "it is erased without asking");
    let erased = office.run(&[erase.as_slice(), &["--yes"]].concat(), None).await?.context("not erased")?;
    ensure!(erased["sessions"] == 0, "{erased:#}");
    let revoke = ["registration", "revoke", "nobodys", "+15550100"];
    ensure!(office.run(&revoke, None).await?.is_none(), "what is not there is revoked");

    let create = ["token", "create", "crm", "--tenant", "default", "--application", "phone"];
    let made = office.run(&create, None).await?.context("no token")?;
    let token = made["token"].as_str().context("no token")?;
    ensure!(made["application"] == "phone", "{made:#}");
    ensure!(
        office.run(&["registration", "list"], Some(token)).await?.is_none(),
        "an application administers"
    );
    Ok(())
}

impl Office {
    async fn open() -> Result<Self> {
        let data = tempfile::tempdir()?;
        let server = Process::start(PROGRAM, data.path(), None).await?;
        fs::metadata(data.path().join(switchhook_server::ADMIN_TOKEN)).context("no operator's token")?;
        Ok(Self { server, data })
    }

    /// What the command answers; nothing if it ends with a failure. The operator's, or by this token.
    async fn run(&self, arguments: &[&str], token: Option<&str>) -> Result<Option<Value>> {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).arg("--json").stdin(Stdio::null());
        command.env("SWITCHHOOK_SERVER", format!("http://{}", self.server.http));
        command.env("SWITCHHOOK_DATA", self.data.path()).env_remove("SWITCHHOOK_TOKEN");
        if let Some(token) = token {
            command.env("SWITCHHOOK_TOKEN", token);
        }
        let output = command.output().await?;
        if !output.status.success() {
            return Ok(None);
        }
        Ok(Some(serde_json::from_slice(&output.stdout)?))
    }
}

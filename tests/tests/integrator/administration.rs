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

//! From a component to calls that it decides, by the command line, on a server whose users call all the while.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use switchhook_server::DecisionRecord;
use switchhook_tests::{host::Host, phone::Phone, waiting::until};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::project::{PROGRAM, Project};

const ALICE: &str = "+15550100";
const BOB: &str = "+15550101";
const CAROL: &str = "+15550102";

/// Uploads a built router that hunts, activates it, sees it decide, and rolls it back; no invite fails.
pub(crate) async fn uploaded_activated_and_rolled_back_under_load(project: &Project) -> Result<()> {
    let host = Host::with(|settings| settings.compiler = Some(PROGRAM.into())).await?;
    let (alice, mut carol) = (host.phone(ALICE).await?, host.phone(CAROL).await?);
    let mut called = [host.phone(BOB).await?, host.device("tablet", BOB).await?];
    let uploaded = run(project, &host, &["upload"]).await?;
    ensure!(uploaded["version"] == 1, "{uploaded:#}");
    decided(&host, &alice, "route-ring-all").await?;

    let done = CancellationToken::new();
    let load = async {
        let mut invites = 0;
        while !done.is_cancelled() {
            carol.invite(BOB).await.context("an invite failed")?;
            carol.drain();
            called.iter_mut().for_each(Phone::drain);
            invites += 1;
        }
        anyhow::Ok(invites)
    };
    let steps = async {
        let rolled = rolled_out_and_back(project, &host, &alice).await;
        done.cancel();
        rolled
    };

    let (load, rolled) = tokio::join!(load, steps);

    rolled?;
    ensure!(load? > 0, "nobody called");
    Ok(())
}

async fn rolled_out_and_back(project: &Project, host: &Host, alice: &Phone) -> Result<()> {
    let activated = run(project, host, &["activate", "1"]).await?;
    ensure!(activated["active_version"] == 1, "{activated:#}");
    let decision = decided(host, alice, "my-router").await?;
    ensure!(
        decision.outcome == "ring 2 in 2 wave(s)",
        "the phone first, then the tablet: {}",
        decision.outcome
    );
    let shown = run(project, host, &["show"]).await?;
    ensure!(shown["versions"][0]["state"] == "active", "{shown:#}");
    let metrics = run(project, host, &["metrics"]).await?;
    ensure!(metrics["calls"]["answered"].as_u64() > Some(0), "{metrics:#}");

    run(project, host, &["rollback"]).await?;
    decided(host, alice, "route-ring-all").await?;
    let shown = run(project, host, &["show"]).await?;
    ensure!(shown["active_version"] == json!(null), "{shown:#}");
    Ok(())
}

/// An invite that this plugin decided.
async fn decided(host: &Host, alice: &Phone, plugin: &str) -> Result<DecisionRecord> {
    until(plugin, async || {
        let status = alice.invite(BOB).await?;
        let decisions = host.admin.decisions(status.session.as_str()).await?;
        let own = |it: &DecisionRecord| it.plugin == plugin && it.failure.is_none();
        Ok(decisions.into_iter().filter(|it| it.slot == "invite-router").find(own))
    })
    .await
}

/// `switchhook plugin …` in the project's folder, for the tenant of this server.
async fn run(project: &Project, host: &Host, arguments: &[&str]) -> Result<Value> {
    let mut command = Command::new(PROGRAM);
    command.arg("plugin").args(arguments).arg("--json").current_dir(project.path("")).stdin(Stdio::null());
    command.env("SWITCHHOOK_SERVER", format!("http://{}", host.addresses().http));
    command.env("SWITCHHOOK_DATA", host.data()).env_remove("SWITCHHOOK_TOKEN");
    let output = command.output().await?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{arguments:?}: {complaint}");
    serde_json::from_slice(&output.stdout).with_context(|| format!("{arguments:?} answers no JSON"))
}

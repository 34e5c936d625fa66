//! A registration method of a tenant's own, from its source to a registered device, by the command line (REG-12).

use std::{fs, net::Ipv4Addr, process::Stdio};

use anyhow::{Result, ensure};
use axum::{Json, Router, routing::post};
use serde_json::{Value, json};
use switchhook_client::CallError;
use switchhook_protocol::registration::{RegisterBegin, RegistrationProgress};
use switchhook_tests::{
    host::Host,
    phone::Phone,
    waiting::{in_time, until},
};
use tokio::{net::TcpListener, process::Command};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::project::{PROGRAM, Project};

/// The example, as it is in the repository.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../plugins/register-badge/src/lib.rs");

const SECRET: &str = "what the company and its plugin share";

/// The company's service; it ends when dropped.
struct Badges {
    authority: String,
    _serving: AbortOnDropHandle<()>,
}

impl Badges {
    /// Knows one badge.
    async fn open() -> Result<Self> {
        let check = async |Json(asked): Json<Value>| {
            let known = json!({ "badge": "4711", "pin": "abc", "secret": SECRET });
            Json(if asked == known { json!({ "endpoint": "erika@example.com" }) } else { json!({}) })
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let authority = format!("localhost:{}", listener.local_addr()?.port());
        let router = Router::new().route("/check", post(check));
        let serving =
            TaskTracker::new().spawn(async move { axum::serve(listener, router).await.unwrap_or_default() });
        Ok(Self { authority, _serving: AbortOnDropHandle::new(serving) })
    }
}

#[tokio::test]
async fn reg_12_a_tenant_adds_a_method_by_the_sdk_and_its_own_service_alone() -> Result<()> {
    let project = Project::new("registration-method", "rust", "register-badge")?;
    fs::copy(SOURCE, project.path("src/lib.rs"))?;
    let built = project.run(&["build"])?.well()?;
    ensure!(built["description"]["name"] == "register-badge", "{built:#}");

    let host = Host::with(|settings| {
        settings.compiler = Some(PROGRAM.into());
        settings.plugins.allow_loopback = true;
    })
    .await?;
    let badges = Badges::open().await?;
    let configuration = json!({ "url": format!("http://{}/check", badges.authority) });
    project.write("configuration.json", &configuration)?;
    fs::write(project.path("badges.secret"), SECRET)?;
    run(&project, &host, &["upload"]).await?;
    run(&project, &host, &["grant", "--outbound", &badges.authority, "--fetches-per-minute", "60"]).await?;
    run(&project, &host, &["secret", "set", "badges", "--file", "badges.secret"]).await?;
    run(&project, &host, &["activate", "1", "--configuration", "configuration.json"]).await?;

    let phone = host.stranger().await?;
    begin(&phone, "4711", "wrong").await??;
    let incomplete = begin(&phone, "4711", "{secret:badges}").await?;
    ensure!(matches!(incomplete, Err(CallError::Refused(_))), "{incomplete:?}");
    begin(&phone, "4711", "abc").await??;

    until("the registration", async || {
        let held = in_time("the list", phone.client.register_list()).await??.registrations;
        Ok((!held.is_empty()).then_some(held))
    })
    .await
    .and_then(|held| {
        let [held] = &held[..] else { anyhow::bail!("{held:?}") };
        ensure!(held.endpoint.reveal() == "erika@example.com" && held.method.as_str() == "register-badge");
        Ok(())
    })
}

async fn begin(phone: &Phone, badge: &str, pin: &str) -> Result<Result<RegistrationProgress, CallError>> {
    let fields = [("badge", badge), ("pin", pin)].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let begin = RegisterBegin { method: "register-badge".parse()?, fields: fields.into() };
    in_time("the answer", phone.client.register_begin(&begin)).await
}

/// `switchhook plugin …` in the project's folder, for the tenant of this server.
async fn run(project: &Project, host: &Host, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(PROGRAM);
    command.arg("plugin").args(arguments).arg("--json").current_dir(project.path(""));
    command.env("SWITCHHOOK_SERVER", format!("http://{}", host.addresses().http));
    command.env("SWITCHHOOK_DATA", host.data()).env_remove("SWITCHHOOK_TOKEN");
    let output = command.stdin(Stdio::null()).output().await?;
    ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

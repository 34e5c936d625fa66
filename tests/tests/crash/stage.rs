//! A server that may die and come back, and a carrier that outlives it.

use std::{collections::BTreeSet, fs, net::SocketAddr, os::unix::process::ExitStatusExt as _, path::Path};

use anyhow::{Context as _, Result, ensure};
use reqwest::{Client, Method, StatusCode};
use rustix::process::Signal;
use switchhook_client::CallError;
use switchhook_protocol::endpoint::EndpointId;
use switchhook_server::{ADMIN_TOKEN, DEFAULT_TENANT, SandboxFile};
use switchhook_tests::{
    admin::Admin,
    host::{Transit, client_settings, tenant},
    phone::Phone,
    process::Process,
    waiting::{in_time, until},
};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_switchhook-under-test");

/// A server's process, its data, and the world around it.
pub(crate) struct Stage {
    pub(crate) process: Process,
    pub(crate) transit: Transit,
    pub(crate) admin: Admin,
    folder: TempDir,
}

impl Stage {
    /// A new installation.
    pub(crate) async fn start() -> Result<Self> {
        Self::with("").await
    }

    /// The same with settings (TOML).
    pub(crate) async fn with(settings: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join(SETTINGS), settings)?;
        let process = serve(folder.path(), None).await?;
        let data = folder.path().join(DATA);
        let token = fs::read_to_string(data.join(ADMIN_TOKEN))?;
        let admin = Admin::new(process.http, token.trim());
        let secret = SandboxFile::read(&data)?.secret;
        let transit = Transit::start(process.http, &tenant(DEFAULT_TENANT)?, secret).await?;
        admin.put_gateway(&transit.send_url, &transit.secret).await?;
        Ok(Self { process, transit, admin, folder })
    }

    /// Waits until the process has died where it was to.
    pub(crate) async fn died(&mut self) -> Result<()> {
        let ended = self.process.ended().await?;
        ensure!(ended.signal() == Some(Signal::ABORT.as_raw()), "it ended otherwise: {ended}");
        Ok(())
    }

    /// Ends the process: the points that it has passed since the last device enrolled.
    pub(crate) async fn passed_since_enrolment(&mut self) -> Result<BTreeSet<String>> {
        self.process.terminate()?;
        let passed = self.process.passed_in_all().await?;
        let begins =
            passed.iter().rposition(|point| point == "commit.enrol.after").context("no enrolment")?;
        // The sweeper comes by on its own, now and then.
        let own = passed.into_iter().skip(begins + 1).filter(|point| !point.starts_with("commit.sweep."));
        Ok(own.collect())
    }

    /// Starts again, after the process has died, where it was.
    pub(crate) async fn again(&mut self) -> Result<()> {
        let started = serve(self.folder.path(), Some(self.process.http)).await;
        self.process = started.context("it does not start again")?;
        Ok(())
    }

    /// Kills the process where it stands, and starts again.
    pub(crate) async fn kill_and_start_again(&mut self) -> Result<()> {
        self.process.kill().await?;
        self.again().await
    }

    /// A new device, online.
    pub(crate) async fn phone(&self) -> Result<Phone> {
        Phone::enrol(client_settings(self.process.http, DEFAULT_TENANT, "phone")?).await
    }
}

async fn serve(folder: &Path, listen: Option<SocketAddr>) -> Result<Process> {
    let mut options = vec!["--settings".into(), folder.join(SETTINGS).into_os_string()];
    if let Some(listen) = listen {
        options.extend(["--listen".into(), listen.to_string().into()]);
    }
    Process::with(PROGRAM, &folder.join(DATA), options).await
}

const DATA: &str = "data";
const SETTINGS: &str = "settings.toml";

/// What the host has registered for a device, which may only now notice that its connection is lost.
pub(crate) async fn registrations(phone: &Phone) -> Result<Vec<EndpointId>> {
    until("sync", async || match phone.client.sync().await {
        Ok(snapshot) => Ok(Some(snapshot.registrations)),
        Err(CallError::ConnectionLost) => Ok(None),
        Err(error) => Err(error.into()),
    })
    .await
}

/// Ids of the mails in doubt.
pub(crate) async fn mails_in_doubt(stage: &Stage) -> Result<Vec<String>> {
    let mails = until("the list", async || Ok(stage.admin.get("mails/in-doubt").await.ok())).await?;
    let ids = mails.as_array().into_iter().flatten().filter_map(|mail| mail.get("mail")?.as_str());
    Ok(ids.map(str::to_owned).collect())
}

/// An administrator has a mail in doubt sent again.
pub(crate) async fn resend_mail(stage: &Stage, mail: &str) -> Result<()> {
    let (status, _) = stage.admin.ask_tenant(Method::POST, &format!("mails/{mail}/resend"), None).await?;
    ensure!(status == StatusCode::ACCEPTED, "{status}");
    Ok(())
}

/// Presses the button of a link's page.
pub(crate) async fn post_link(stage: &Stage, token: &str) -> Result<StatusCode> {
    let url = format!("http://{}/v1/{DEFAULT_TENANT}/links/{token}", stage.process.http);
    Ok(in_time("the answer", Client::new().post(url).send()).await??.status())
}

//! A server that may die and come back, and a carrier that outlives it.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use switchhook_client::CallError;
use switchhook_protocol::endpoint::EndpointId;
use switchhook_server::{ADMIN_TOKEN, DEFAULT_TENANT, SandboxFile};
use switchhook_tests::{
    admin::Admin,
    host::{Transit, client_settings, tenant},
    phone::Phone,
    process::Process,
    waiting::until,
};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_switchhook-under-test");

/// A server's process, its data, and the world around it.
pub(crate) struct Stage {
    pub(crate) process: Process,
    pub(crate) transit: Transit,
    pub(crate) admin: Admin,
    data: PathBuf,
    _folder: TempDir,
}

impl Stage {
    /// A new installation.
    pub(crate) async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let process = Process::start(PROGRAM, &data, None).await?;
        let token = fs::read_to_string(data.join(ADMIN_TOKEN))?;
        let admin = Admin::new(process.http, token.trim());
        let secret = SandboxFile::read(&data)?.secret;
        let transit = Transit::start(process.http, &tenant(DEFAULT_TENANT)?, secret).await?;
        admin.put_gateway(&transit.send_url, &transit.secret).await?;
        Ok(Self { process, transit, admin, data, _folder: folder })
    }

    /// Starts again, after the process has died, where it was.
    pub(crate) async fn again(&mut self) -> Result<()> {
        let started = Process::start(PROGRAM, &self.data, Some(self.process.http)).await;
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

/// What the host has registered for a device, which may only now notice that its connection is lost.
pub(crate) async fn registrations(phone: &Phone) -> Result<Vec<EndpointId>> {
    until("sync", async || match phone.client.sync().await {
        Ok(snapshot) => Ok(Some(snapshot.registrations)),
        Err(CallError::ConnectionLost) => Ok(None),
        Err(error) => Err(error.into()),
    })
    .await
}

//! A server in a process of its own, which may die and come back, and whose time a test moves on; beside it a carrier
//! that outlives it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use switchhook_protocol::time::millis;
use switchhook_server::{ADMIN_TOKEN, DEFAULT_TENANT, SandboxFile};
use tempfile::TempDir;

use crate::{
    admin::Admin,
    host::{Transit, client_settings, tenant},
    phone::Phone,
    port::Port,
    process::Process,
    stored,
};

/// A server's process, its data, and the world around it.
#[derive(Debug)]
pub struct Stage {
    /// The process that runs now.
    pub process: Process,
    /// The sandbox transit of the first tenant.
    pub transit: Transit,
    /// The operator, at the first tenant.
    pub admin: Admin,
    program: String,
    port: Port,
    folder: TempDir,
}

impl Stage {
    /// A new installation that this binary serves.
    pub async fn start(program: &str) -> Result<Self> {
        Self::with(program, "").await
    }

    /// The same with settings (TOML).
    pub async fn with(program: &str, settings: &str) -> Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, Port::any()?);
        fs::write(folder.path().join(SETTINGS), settings)?;
        let process = serve(program, &folder, &port).await?;
        let data = folder.path().join(DATA);
        let token = fs::read_to_string(data.join(ADMIN_TOKEN))?;
        let admin = Admin::new(process.http, token.trim());
        let secret = SandboxFile::read(&data)?.secret;
        let transit = Transit::start(process.http, &tenant(DEFAULT_TENANT)?, secret).await?;
        admin.put_gateway(&transit.send_url, &transit.secret).await?;
        Ok(Self { process, transit, admin, program: program.to_owned(), port, folder })
    }

    /// Waits until the process has died where it was to.
    pub async fn died(&mut self) -> Result<()> {
        let ended = self.process.ended().await?;
        ensure!(ended.signal() == Some(Signal::ABORT.as_raw()), "it ended otherwise: {ended}");
        Ok(())
    }

    /// Ends the process: the points that it has passed since the last device enrolled.
    pub async fn passed_since_enrolment(&mut self) -> Result<BTreeSet<String>> {
        self.process.terminate()?;
        let passed = self.process.passed_in_all().await?;
        let begins =
            passed.iter().rposition(|point| point == "commit.enrol.after").context("no enrolment")?;
        // The sweeper comes by on its own, now and then.
        let own = passed.into_iter().skip(begins + 1).filter(|point| !point.starts_with("commit.sweep."));
        Ok(own.collect())
    }

    /// Starts again, after the process has died, where it was.
    pub async fn again(&mut self) -> Result<()> {
        let started = serve(&self.program, &self.folder, &self.port).await;
        self.process = started.context("it does not start again")?;
        Ok(())
    }

    /// Kills the process where it stands, and starts again.
    pub async fn kill_and_start_again(&mut self) -> Result<()> {
        self.process.kill().await?;
        self.again().await
    }

    /// From now on its time is so much later than the system's. Whatever waits for a time looks within two seconds.
    pub fn is_later(&self, by: Duration) -> Result<()> {
        is_later(self.folder.path(), by)
    }

    /// The server's data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join(DATA)
    }

    /// Rows by table.
    pub async fn stored(&self) -> Result<BTreeMap<String, i64>> {
        stored::rows(&self.data()).await
    }

    /// A new device, online.
    pub async fn phone(&self) -> Result<Phone> {
        Phone::enrol(client_settings(self.process.http, DEFAULT_TENANT, "phone")?).await
    }

    /// A device of this kind, online, the number registered by SMS.
    pub async fn device(&self, kind: &str, number: &str) -> Result<Phone> {
        let mut phone = Phone::enrol(client_settings(self.process.http, DEFAULT_TENANT, kind)?).await?;
        phone.register(&self.transit.carrier, &number.parse()?).await?;
        Ok(phone)
    }
}

/// From now on the time of servers whose data folders are in this one is so much later than the system's.
pub fn is_later(folder: &Path, by: Duration) -> Result<()> {
    // The whole file at once: who reads it meanwhile has the time before or after.
    let next = folder.join("next");
    fs::write(&next, millis(by).to_string())?;
    Ok(fs::rename(next, folder.join(LATER))?)
}

async fn serve(program: &str, folder: &TempDir, port: &Port) -> Result<Process> {
    let at = |name: &str| folder.path().join(name);
    let options: [PathBuf; 4] =
        ["--settings".into(), at(SETTINGS), "--listen".into(), port.addr.to_string().into()];
    Process::with(program, &at(DATA), options).await
}

const DATA: &str = "data";
const SETTINGS: &str = "settings.toml";

/// Beside the data folder: how many milliseconds later than the system's the server's time is.
pub const LATER: &str = "later";

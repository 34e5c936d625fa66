//! A data folder with devices that are enrolled and registered, and servers that start on copies of it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use switchhook_client::identity::DeviceKey;
use switchhook_core::row;
use switchhook_protocol::id::TenantId;
use switchhook_storage::{Clock, Settings, Storage, StorageError};
use tempfile::TempDir;

use crate::{
    clock::{self, now},
    device::Device,
    process::Running,
};

/// A stopped installation that is copied for each round.
pub(crate) struct Installation {
    server: PathBuf,
    folder: TempDir,
    pub(crate) tenant: TenantId,
    /// One key for all devices: what it costs to check a proof does not depend on it.
    pub(crate) key: DeviceKey,
    pub(crate) devices: Vec<Device>,
}

/// A server that is ready.
pub(crate) struct Server {
    pub(crate) process: Running,
    pub(crate) addr: SocketAddr,
    /// From the start of the process until it said that it is ready.
    pub(crate) ready_after: Duration,
    _folder: TempDir,
}

#[derive(Deserialize)]
struct Ready {
    http: SocketAddr,
}

impl Installation {
    /// Lets the server make a data folder, and puts devices into its database.
    pub(crate) async fn prepare(server: PathBuf, folder: TempDir, devices: u32) -> anyhow::Result<Self> {
        start(&server, folder.path())?.0.stop()?;
        let made = Self {
            server,
            folder,
            tenant: "default".parse()?,
            key: DeviceKey::generate(&mut rand::rng()),
            devices: (0..devices).map(Device::numbered).collect::<Result<_, _>>()?,
        };
        let settings = Settings::new(made.folder.path().join("switchhook.db"), Clock::new(clock::timestamp));
        let storage = Storage::open(settings).await?;
        for devices in made.devices.chunks(1_000) {
            made.enrol(&storage, devices.to_vec()).await?;
        }
        storage.close().await;
        Ok(made)
    }

    async fn enrol(&self, storage: &Storage, devices: Vec<Device>) -> anyhow::Result<()> {
        let (key, epoch) = (self.key.public(), "epoch".parse()?);
        let (application, method, at) = ("phone".parse()?, "register-sms".parse()?, clock::timestamp());
        let registration = row::Registration {
            device: "none".parse()?,
            endpoint: "+15550000".parse()?,
            application,
            method,
            registered_at: at,
        };
        let storage = storage.of(&self.tenant);
        let enrolled = storage.run("enrol", async move |tx| {
            for Device { id, push_token, endpoint } in devices {
                let device = row::Device {
                    id: id.clone(),
                    application: registration.application.clone(),
                    kind: "phone".to_owned(),
                    key: key.clone(),
                    enrolled_at: at,
                };
                let hash = Sha256::digest(push_token.as_str().as_bytes()).into();
                tx.insert_device(&device, hash, &epoch).await?;
                tx.bind(&row::Registration { device: id, endpoint, ..registration.clone() }).await?;
            }
            Ok::<_, StorageError>(())
        });
        Ok(enrolled.await?)
    }

    /// Starts the server on a copy in this folder.
    pub(crate) fn start(&self, folder: TempDir) -> anyhow::Result<Server> {
        copy(self.folder.path(), folder.path())?;
        let started = now();
        let (process, addr) = start(&self.server, folder.path())?;
        Ok(Server { process, addr, ready_after: started.elapsed(), _folder: folder })
    }
}

fn start(server: &Path, data: &Path) -> anyhow::Result<(Running, SocketAddr)> {
    let settings = data.join("settings.toml");
    fs::create_dir_all(data)?;
    fs::write(&settings, UNLIMITED)?;
    let mut command = Command::new(server);
    command.args(["serve", "--free-ports", "--json", "--data"]).arg(data).env("RUST_LOG", "error");
    command.arg("--settings").arg(settings);
    let (process, output) = Running::start(command.stderr(Stdio::inherit()))?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let ready: Ready = serde_json::from_str(&line).context("the server did not say that it is ready")?;
    Ok((process, ready.http))
}

/// A few devices do here what a crowd does elsewhere: what is measured is the server, not its patience.
const UNLIMITED: &str = "[limits]
invites_of_device = 4294967295
invites_of_identifier = 4294967295
invites_of_pair = 4294967295
invites_of_tenant = 4294967295
";

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, beside) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if entry.is_dir() {
            copy(&entry, &beside)?;
        } else {
            fs::copy(&entry, &beside)?;
        }
    }
    Ok(())
}

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
use switchhook_storage::{Clock, Database, Settings, Storage, StorageError};
use tempfile::TempDir;

use crate::{
    clock::{self, now},
    device::Device,
    process::Running,
    socket::Door,
};

/// A stopped installation that is copied for each round.
pub(crate) struct Installation {
    server: PathBuf,
    folder: TempDir,
    shared: Option<Shared>,
    pub(crate) tenant: TenantId,
    /// One key for all devices: what it costs to check a proof does not depend on it.
    pub(crate) key: DeviceKey,
    pub(crate) devices: Vec<Device>,
}

/// What several servers share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    /// A PostgreSQL database.
    pub(crate) database: String,
    /// NATS servers.
    pub(crate) bus: String,
}

/// A server that is ready.
pub(crate) struct Server {
    pub(crate) process: Running,
    pub(crate) door: Door,
    /// From the start of the process until it said that it is ready.
    pub(crate) ready_after: Duration,
    program: PathBuf,
    folder: TempDir,
}

#[derive(Deserialize)]
struct Ready {
    http: SocketAddr,
}

impl Installation {
    /// Lets the server make a data folder, and puts devices into its database.
    pub(crate) async fn prepare(server: PathBuf, folder: TempDir, devices: u32) -> anyhow::Result<Self> {
        Self::prepare_on(None, server, folder, devices).await
    }

    /// The same with a database that is not in the folder, if there is one.
    pub(crate) async fn prepare_on(
        shared: Option<Shared>,
        server: PathBuf,
        folder: TempDir,
        devices: u32,
    ) -> anyhow::Result<Self> {
        write_settings(folder.path(), shared.as_ref(), "")?;
        start(&server, folder.path(), None)?.0.stop()?;
        let made = Self {
            server,
            folder,
            shared,
            tenant: "default".parse()?,
            key: DeviceKey::generate(&mut rand::rng()),
            devices: (0..devices).map(Device::numbered).collect::<Result<_, _>>()?,
        };
        let storage = made.open(made.folder.path()).await?;
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
            for Device { id, push_token, endpoint, .. } in devices {
                let device = row::Device {
                    id: id.clone(),
                    application: registration.application.clone(),
                    kind: "phone".to_owned(),
                    key: key.clone(),
                    enrolled_at: at,
                    push_token_until: at.after(Duration::from_hours(24)),
                    dials_from: None,
                };
                let hash = Sha256::digest(push_token.as_str().as_bytes()).into();
                tx.insert_device(&device, hash, &epoch).await?;
                tx.bind(&row::Registration { device: id, endpoint, ..registration.clone() }).await?;
            }
            Ok::<_, StorageError>(())
        });
        Ok(enrolled.await?)
    }

    /// Starts the server on a copy in this folder, with these settings beside those of every bench.
    pub(crate) fn start(&self, folder: TempDir, more: &str) -> anyhow::Result<Server> {
        copy(self.folder.path(), folder.path())?;
        write_settings(folder.path(), self.shared.as_ref(), more)?;
        let started = now();
        let (process, addr) = start(&self.server, folder.path(), None)?;
        let (ready_after, program) = (started.elapsed(), self.server.clone());
        Ok(Server { process, door: Door::plain(addr), ready_after, program, folder })
    }

    /// What a server in this folder stores.
    pub(crate) async fn open(&self, data: &Path) -> anyhow::Result<Storage> {
        let database = match &self.shared {
            Some(shared) => Database::Postgres { url: shared.database.clone() },
            None => Database::Sqlite { path: data.join(DATABASE) },
        };
        Ok(Storage::open(Settings::new(database, Clock::new(clock::timestamp))).await?)
    }

    /// What stands in a file of its folder.
    pub(crate) fn file(&self, name: &str) -> anyhow::Result<String> {
        let path = self.folder.path().join(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// The device of this number.
    pub(crate) fn device(&self, number: u32) -> anyhow::Result<&Device> {
        let device = usize::try_from(number).ok().and_then(|number| self.devices.get(number));
        device.context("more sockets than devices")
    }

    /// As whom its devices say hello.
    pub(crate) const fn who(&self) -> (&TenantId, &DeviceKey) {
        (&self.tenant, &self.key)
    }
}

impl Server {
    /// Kills it, lets something be done to what is stored, and starts it again on the same port.
    pub(crate) async fn restart(
        &mut self,
        installation: &Installation,
        between: impl AsyncFnOnce(&Storage) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.process.kill()?;
        let storage = installation.open(self.folder.path()).await?;
        between(&storage).await?;
        storage.close().await;
        self.process = start(&self.program, self.folder.path(), Some(self.door.addr))?.0;
        Ok(())
    }
}

fn write_settings(data: &Path, shared: Option<&Shared>, more: &str) -> anyhow::Result<()> {
    let first = shared.map_or_else(String::new, |Shared { database, bus }| {
        format!("database = \"{database}\"\nbus = \"{bus}\"\n")
    });
    fs::create_dir_all(data)?;
    Ok(fs::write(data.join(SETTINGS), format!("{first}{UNLIMITED}{more}"))?)
}

/// Starts it on any port, or on this one.
fn start(server: &Path, data: &Path, at: Option<SocketAddr>) -> anyhow::Result<(Running, SocketAddr)> {
    let mut command = Command::new(server);
    command.args(["serve", "--free-ports", "--json", "--data"]).arg(data).env("RUST_LOG", "error");
    command.arg("--settings").arg(data.join(SETTINGS));
    command.args(at.iter().flat_map(|at| ["--listen".to_owned(), at.to_string()]));
    let (process, output) = Running::start(command.stderr(Stdio::inherit()))?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let ready: Ready = serde_json::from_str(&line).context("the server did not say that it is ready")?;
    Ok((process, ready.http))
}

/// Files of a data folder.
const DATABASE: &str = "switchhook.db";
const SETTINGS: &str = "settings.toml";

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

//! A server in this process with the sandbox transit beside it.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use switchhook_client::{Settings as ClientSettings, identity::Identity};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{ApplicationId, TenantId},
    time::Timestamp,
};
use switchhook_server::{ADMIN_TOKEN, Addresses, Carrier, DEFAULT_TENANT, SandboxFile, Server, Settings};
use switchhook_storage::{Clock, Storage, TenantStorage};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::{
    admin::Admin,
    phone::Phone,
    port::Port,
    stored,
    waiting::{GUARD, now},
};

/// A running server; it ends when dropped.
#[derive(Debug)]
pub struct Host {
    server: Option<Server>,
    settings: Settings,
    addresses: Addresses,
    /// The sandbox transit of the first tenant.
    pub transit: Transit,
    /// The operator, at the first tenant.
    pub admin: Admin,
    /// Where it answers, also after a restart.
    _port: Port,
    folder: TempDir,
}

/// A carrier with the port where its gateway takes texts; it ends when dropped.
#[derive(Debug)]
pub struct Transit {
    /// Phones send and get texts here.
    pub carrier: Carrier,
    /// Where its gateway takes texts.
    pub send_url: String,
    /// What it shares with the host.
    pub secret: String,
    _stop: DropGuard,
}

impl Host {
    /// Starts a new installation on free ports.
    pub async fn start() -> Result<Self> {
        Self::with(|_| {}).await
    }

    /// Starts a new installation on free ports, with these settings changed.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, Port::any()?);
        let mut settings = Settings::on_free_ports(folder.path().join("data"));
        settings.http.listen = port.addr;
        settings.gateways.allow_loopback = true;
        settings.deadlines.webhook = GUARD;
        change(&mut settings);
        let server = Server::start(&settings).await?;
        let addresses = server.addresses();
        let token = fs::read_to_string(settings.data.join(ADMIN_TOKEN))?;
        let admin = Admin::new(addresses.http, token.trim());
        let secret = SandboxFile::read(&settings.data)?.secret;
        let transit = Transit::start(addresses.http, &tenant(DEFAULT_TENANT)?, secret).await?;
        admin.put_gateway(&transit.send_url, &transit.secret).await?;
        Ok(Self { server: Some(server), settings, addresses, transit, admin, _port: port, folder })
    }

    /// Where it answers; CDX and the relay elsewhere after each start.
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.settings.data
    }

    /// Settings of a client of the first tenant.
    pub fn client_settings(&self, kind: &str) -> Result<ClientSettings> {
        client_settings(self.addresses.http, DEFAULT_TENANT, kind)
    }

    /// Somebody's phone, online, its number registered by SMS.
    pub async fn phone(&self, number: &str) -> Result<Phone> {
        self.device("phone", number).await
    }

    /// A device of this kind, online, the number registered by SMS.
    pub async fn device(&self, kind: &str, number: &str) -> Result<Phone> {
        let mut phone = Phone::enrol(self.client_settings(kind)?).await?;
        phone.register(&self.transit.carrier, &number.parse()?).await?;
        Ok(phone)
    }

    /// A device that is enrolled and online, and has registered nothing.
    pub async fn stranger(&self) -> Result<Phone> {
        Phone::enrol(self.client_settings("phone")?).await
    }

    /// Rows by table.
    pub async fn stored(&self) -> Result<BTreeMap<String, i64>> {
        stored::rows(self.data()).await
    }

    /// Stops, lets a test change what is stored, and starts again where it was.
    pub async fn restart(&mut self, between: impl AsyncFnOnce(TenantStorage) -> Result<()>) -> Result<()> {
        self.stop().await;
        let storage = self.storage().await?;
        between(storage.of(&tenant(DEFAULT_TENANT)?)).await?;
        storage.close().await;
        self.start_again().await
    }

    /// The same, as if this time had passed since: what is over by then is forgotten.
    pub async fn restart_after(&mut self, passed: Duration) -> Result<()> {
        self.stop().await;
        let storage = self.storage().await?;
        storage.sweep(now().after(passed)).await?;
        storage.close().await;
        self.start_again().await
    }

    /// What a server that is stopped has stored.
    async fn storage(&self) -> Result<Storage> {
        let (data, clock) = (self.data().join("switchhook.db"), Clock::new(|| Timestamp::from_millis(0)));
        Ok(Storage::open(switchhook_storage::Settings::new(data, clock)).await?)
    }

    /// Starts again where it was, after [`Self::stop`].
    pub async fn start_again(&mut self) -> Result<()> {
        let server = Server::start(&self.settings).await.context("it does not start again")?;
        self.addresses = server.addresses();
        self.server = Some(server);
        Ok(())
    }

    /// Starts again where it was with another data folder, after [`Self::stop`].
    pub async fn start_on(&mut self, data: impl Into<PathBuf>) -> Result<()> {
        self.settings.data = data.into();
        self.start_again().await
    }

    /// Starts again where it was with these settings changed, after [`Self::stop`].
    pub async fn start_with(&mut self, change: impl FnOnce(&mut Settings)) -> Result<()> {
        change(&mut self.settings);
        self.start_again().await
    }

    /// Stops, and tells clients to come again.
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown(std::future::pending()).await;
        }
    }

    /// Where files of a test may lie.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Transit {
    /// Starts the transit of a tenant's sandbox gateway.
    pub async fn start(host: SocketAddr, tenant: &TenantId, secret: impl Into<String>) -> Result<Self> {
        let secret = secret.into();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let send_url = format!("http://{}/texts", listener.local_addr()?);
        let carrier = Carrier::new(host, tenant, &secret)?;
        let stop = CancellationToken::new();
        carrier.serve(listener, &TaskTracker::new(), stop.clone());
        Ok(Self { carrier, send_url, secret, _stop: stop.drop_guard() })
    }

    /// How many texts a phone has got.
    pub fn count(&self, number: &EndpointId) -> usize {
        self.carrier.texts(number).len()
    }
}

/// Settings of a client.
pub fn client_settings(host: SocketAddr, tenant_id: &str, kind: &str) -> Result<ClientSettings> {
    let application: ApplicationId = "test".parse()?;
    Ok(ClientSettings::new(format!("ws://{host}"), tenant(tenant_id)?, application).device_kind(kind))
}

/// A tenant by its name.
pub fn tenant(name: &str) -> Result<TenantId> {
    Ok(name.parse()?)
}

/// What a device texts to register.
pub fn registration_text(identity: &Identity) -> String {
    switchhook_client::registration::begin_text(identity)
}

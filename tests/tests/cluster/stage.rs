//! Three nodes, the servers below them, and clients that reach them through balancers.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use switchhook_client::CallError;
use switchhook_programs::{nats, postgres};
use switchhook_server::{ADMIN_TOKEN, DEFAULT_TENANT, ROOT_KEYS, SandboxFile};
use switchhook_tests::{
    admin::Admin,
    front::Front,
    host::{Transit, client_settings, tenant},
    phone::Phone,
    port::Port,
    process::Process,
    service::Service,
    skipped, stage,
    waiting::until,
};
use tempfile::TempDir;

/// Services of tenants are on this machine, and one pair of people may do what a test has it do.
const SETTINGS: &str = "[plugins]\nallow_loopback = true\n[limits]\ninvites_of_pair = 10000\n\
    invites_of_device = 10000\ninvites_of_identifier = 10000\n";

const PROGRAM: &str = env!("CARGO_BIN_EXE_switchhook-under-test");

/// How many nodes there are.
pub(crate) const NODES: usize = 3;

/// The nodes.
pub(crate) struct Stage {
    pub(crate) nodes: Vec<Node>,
    pub(crate) bus: nats::Cluster,
    pub(crate) transit: Transit,
    folder: TempDir,
    _router: Option<Service>,
}

/// One node.
pub(crate) struct Node {
    pub(crate) process: Process,
    pub(crate) admin: Admin,
    data: PathBuf,
    port: Port,
    /// What the others call it, and send their clients to.
    _public: Front,
}

/// A phone and the balancer before it.
pub(crate) struct Somebody {
    pub(crate) phone: Phone,
    pub(crate) front: Front,
    /// The node that the balancer points at.
    pub(crate) node: usize,
}

impl Stage {
    /// A new installation; none, and the test says so, where a server is missing.
    pub(crate) async fn start(test: &str) -> Result<Option<Self>> {
        Self::with(test, None).await
    }

    /// The same, whose invites a tenant's service routes.
    pub(crate) async fn routed_by(test: &str, router: Service) -> Result<Option<Self>> {
        Self::with(test, Some(router)).await
    }

    async fn with(test: &str, router: Option<Service>) -> Result<Option<Self>> {
        let servers = async { Ok::<_, String>((postgres::database().await?, nats::Cluster::start()?)) };
        match servers.await {
            Ok((database, bus)) => Self::on(&database, bus, router).await.map(Some),
            Err(why) => {
                skipped::say(test, &why);
                Ok(None)
            }
        }
    }

    async fn on(database: &str, bus: nats::Cluster, router: Option<Service>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let shared =
            format!("database = \"{database}\"\nallow_lossy_database = true\nbus = \"{}\"\n", bus.url());
        // The first makes the secrets that the others share.
        let first = Node::start(folder.path(), 0, (&shared, None)).await?;
        let secret = SandboxFile::read(&first.data)?.secret;
        let transit = Transit::start(first.process.http, &tenant(DEFAULT_TENANT)?, secret).await?;
        first.admin.put_gateway(&transit.send_url, &transit.secret).await?;
        // Before the others read what there is.
        if let Some(router) = &router {
            router.install_by(&first.admin, "invite-router/own").await?;
        }
        let mut nodes = vec![first];
        for number in 1..NODES {
            let node = Node::start(folder.path(), number, (&shared, nodes.first())).await?;
            nodes.push(node);
        }
        Ok(Self { nodes, bus, transit, folder, _router: router })
    }

    /// One of the nodes.
    pub(crate) fn node(&self, number: usize) -> Result<&Node> {
        self.nodes.get(number).context("no such node")
    }

    /// Somebody's phone at a node, its number registered by SMS.
    pub(crate) async fn phone(&self, number: &str, node: usize) -> Result<Somebody> {
        self.device("phone", number, node).await
    }

    /// A device of this kind at a node.
    pub(crate) async fn device(&self, kind: &str, number: &str, node: usize) -> Result<Somebody> {
        let mut somebody = self.stranger(kind, node).await?;
        somebody.phone.register(&self.transit.carrier, &number.parse()?).await?;
        Ok(somebody)
    }

    /// A device that has registered nothing.
    pub(crate) async fn stranger(&self, kind: &str, node: usize) -> Result<Somebody> {
        let front = Front::of(self.node(node)?.process.http).await?;
        let phone = Phone::enrol(client_settings(front.addr, DEFAULT_TENANT, kind)?).await?;
        Ok(Somebody { phone, front, node })
    }

    /// Ends a node in order.
    pub(crate) async fn stop(&mut self, number: usize) -> Result<()> {
        let node = self.nodes.get_mut(number).context("no such node")?;
        node.process.terminate()?;
        node.process.ended().await?;
        Ok(())
    }

    /// Another process in its place, after it has ended.
    pub(crate) async fn start_again(&mut self, number: usize) -> Result<()> {
        let node = self.nodes.get_mut(number).context("no such node")?;
        node.process = serve(&settings(&node.data), &node.data, &node.port).await?;
        Ok(())
    }

    /// From now on the time of all nodes is so much later than the system's.
    pub(crate) fn is_later(&self, by: Duration) -> Result<()> {
        stage::is_later(self.folder.path(), by)
    }

    /// A node whose secrets are its own.
    pub(crate) async fn foreign_node(&self) -> Result<Process> {
        let port = Port::any()?;
        serve(&settings(&self.node(0)?.data), &self.folder.path().join("foreign"), &port).await
    }
}

impl Node {
    /// What its file of root keys says.
    pub(crate) fn keys(&self) -> Result<String> {
        Ok(fs::read_to_string(self.data.join(ROOT_KEYS))?)
    }

    /// What it is to say when the node starts again; written in place, so that it stays its owner's alone.
    pub(crate) fn write_keys(&self, text: &str) -> Result<()> {
        Ok(fs::write(self.data.join(ROOT_KEYS), text)?)
    }

    async fn start(folder: &Path, number: usize, (shared, first): (&str, Option<&Self>)) -> Result<Self> {
        let data = folder.join(format!("node-{number}"));
        let public = Front::of((Ipv4Addr::LOCALHOST, 0).into()).await?;
        let public_url = format!("[http]\npublic_url = \"ws://{}\"\n", public.addr);
        fs::write(settings(&data), format!("{shared}{public_url}{SETTINGS}"))?;
        if let Some(first) = first {
            fs::create_dir(&data)?;
            for secret in [ROOT_KEYS, ADMIN_TOKEN] {
                fs::copy(first.data.join(secret), data.join(secret))?;
            }
        }
        let port = Port::any()?;
        let process = serve(&settings(&data), &data, &port).await?;
        public.prefer(process.http);
        let token = fs::read_to_string(data.join(ADMIN_TOKEN))?;
        let admin = Admin::new(process.http, token.trim());
        Ok(Self { process, admin, data, port, _public: public })
    }
}

impl Somebody {
    /// The balancer finds that its node is dead.
    pub(crate) fn point_at(&mut self, number: usize, node: &Node) {
        self.node = number;
        self.front.point_at(node.process.http);
    }

    /// Asks again whenever the connection is lost on the way, as an application does.
    pub(crate) async fn insist<T>(
        &self,
        what: &str,
        mut ask: impl AsyncFnMut(&Phone) -> Result<Result<T, CallError>>,
    ) -> Result<T> {
        until(what, async || match ask(&self.phone).await? {
            Ok(answer) => Ok(Some(answer)),
            Err(CallError::ConnectionLost | CallError::Deadline) => Ok(None),
            Err(refused) => Err(refused.into()),
        })
        .await
    }
}

async fn serve(settings: &Path, data: &Path, port: &Port) -> Result<Process> {
    let (settings, listen) = (settings.display().to_string(), port.addr.to_string());
    Process::with(PROGRAM, data, ["--settings", &settings, "--listen", &listen]).await
}

/// Beside a node's data.
fn settings(data: &Path) -> PathBuf {
    data.with_extension("toml")
}

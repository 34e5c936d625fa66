//! What is measured: the relay, coturn, and the yardsticks, each a process on the first core.

use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Command,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use switchhook_core::{
    rate::Rate,
    relay_peers::PeerPolicy,
    relay_token::{RelayShare, RelayToken},
    seal::{RootKeys, Scope},
};
use switchhook_protocol::time::Timestamp;
use switchhook_relay::{Quota, Relay, RelayConfig};

use super::{line::Line, turn::Credentials};
use crate::process::Running;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Server {
    Relay,
    Coturn,
    Plain,
    Merged,
    Echo,
}

/// A process that is measured.
pub(crate) struct Measured {
    pub(crate) process: Running,
    /// Where clients send to.
    pub(crate) addr: SocketAddr,
    /// For forwarders, each flow's other side.
    pub(crate) relayed: Vec<SocketAddr>,
    pub(crate) credentials: Credentials,
}

/// Who is going to use it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clients {
    pub(super) flows: u16,
    /// The first client's port; the others follow.
    pub(super) first: u16,
    /// The port of all peers.
    pub(super) peer: u16,
}

impl Clients {
    /// Whoever comes.
    pub(super) const UNKNOWN: Self = Self { flows: 0, first: 0, peer: 0 };
}

/// Where the relay stands.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Stand {
    /// Its address.
    #[arg(long)]
    ip: Ipv4Addr,
    /// The address of clients and peers.
    #[arg(long)]
    others: Ipv4Addr,
}

const REALM: &str = "switchhook";
const HOST: &str = "relay-1";
/// Of no installation.
const KEY: [u8; 32] = [7; 32];
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const COTURN: &str = "turnserver";

impl Server {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Relay => "the relay",
            Self::Coturn => "coturn",
            Self::Plain => "recvmmsg/sendmmsg forwarder",
            Self::Merged => "GRO/GSO forwarder",
            Self::Echo => "batched UDP echo",
        }
    }

    /// Starts it for these clients, at its end of the line.
    pub(super) fn start(self, line: &Line, clients: Clients) -> Result<Measured> {
        match self {
            Self::Relay => {
                let (process, addr) = on_first_core(line, &["serve-relay"])?;
                let credentials = mint()?;
                Ok(Measured { process, addr: addr.parse()?, relayed: Vec::new(), credentials })
            }
            Self::Coturn => coturn(line),
            Self::Plain => forwarder(line, "plain", clients),
            Self::Merged => forwarder(line, "merged", clients),
            Self::Echo => forwarder(line, "echo", clients),
        }
    }

    /// Whether it is here.
    pub(crate) fn is_installed(self) -> bool {
        self != Self::Coturn || Command::new(COTURN).arg("--version").output().is_ok()
    }
}

/// The relay by itself, until it is killed.
#[expect(clippy::print_stdout, reason = "the bench reads it")]
pub(crate) fn serve_relay(stand: Stand) -> Result<()> {
    let runtime = crate::one_thread()?;
    runtime.block_on(async {
        let keys = RootKeys::new(KEY, []).ring(Scope::Relay(&HOST.parse()?));
        let many = 100_000;
        let allowed = vec![stand.others.to_string().parse()?];
        let config = RelayConfig {
            ip: stand.ip.into(),
            port: 0,
            quota: Quota { each_participant: many, each_session: many, each_tenant: many, all: many },
            strangers: Rate::UNLIMITED,
            shards: 1,
            peers: PeerPolicy { allowed, ..PeerPolicy::default() },
            ..RelayConfig::new(HOST.parse()?)
        };
        let relay = Relay::bind(config, keys, Arc::new(|| NOW)).await?;
        println!("{}", relay.addr());
        std::future::pending().await
    })
}

fn mint() -> Result<Credentials> {
    let token = RelayToken {
        tenant: "acme".parse()?,
        session: "s1".parse()?,
        device: "d1".parse()?,
        host: HOST.parse()?,
        expires_at: NOW.after(Duration::from_hours(10)),
        share: RelayShare::default(),
    };
    let keys = RootKeys::new(KEY, []).ring(Scope::Relay(&HOST.parse()?));
    let minted = token.mint(&keys, &mut rand::rng());
    Ok(Credentials { username: minted.username, password: minted.password })
}

fn coturn(line: &Line) -> Result<Measured> {
    let (ip, port) = (line.server_ip(), line.free_port()?);
    let mut command = Command::new("taskset");
    command.args([
        "-c",
        "0",
        COTURN,
        "-n",
        "--no-tls",
        "--no-dtls",
        "--no-cli",
        "--no-tcp",
        "--lt-cred-mech",
    ]);
    command.args(["-L", &ip.to_string(), "-E", &ip.to_string(), "--allow-loopback-peers", "-m", "1"]);
    command.args(["-r", REALM, "-u", "bench:bench", "--log-file", "/dev/null", "--pidfile", ""]);
    command.args(["--min-port", "10000", "--max-port", "32000", "-p", &port.to_string()]);
    let (process, _output) = line.start(&mut command)?;
    let addr = SocketAddr::from((ip, port));
    await_binding(line, addr)?;
    let credentials = Credentials { username: "bench".to_owned(), password: "bench".to_owned() };
    Ok(Measured { process, addr, relayed: Vec::new(), credentials })
}

/// Asks until it answers.
fn await_binding(line: &Line, addr: SocketAddr) -> Result<()> {
    let socket = line.bind()?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    for _ in 0..100 {
        socket.send_to(&super::binding(), addr)?;
        if socket.recv(&mut [0; 256]).is_ok() {
            return Ok(());
        }
    }
    anyhow::bail!("{addr} does not answer")
}

fn forwarder(line: &Line, way: &str, clients: Clients) -> Result<Measured> {
    let Clients { flows, first, peer } = clients;
    let [flows, first, peer] = [flows, first, peer].map(|number| number.to_string());
    let arguments = ["serve-forwarder", way, "--flows", &flows, "--clients", &first, "--peer", &peer];
    let (process, said) = on_first_core(line, &arguments)?;
    let ports = said.split(' ').map(|port| Ok(SocketAddr::from((line.server_ip(), port.parse()?))));
    let mut ports = ports.collect::<Result<Vec<_>>>()?.into_iter();
    let addr = ports.next().context("a port")?;
    let credentials = Credentials { username: String::new(), password: String::new() };
    Ok(Measured { process, addr, relayed: ports.collect(), credentials })
}

/// This program again; gives the line by which it says that it is ready.
fn on_first_core(line: &Line, arguments: &[&str]) -> Result<(Running, String)> {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(std::env::current_exe()?).args(arguments);
    command.args(["--ip", &line.server_ip().to_string(), "--others", &line.own_ip().to_string()]);
    let (running, output) = line.start(&mut command)?;
    let mut said = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut said)?;
    Ok((running, said.trim().to_owned()))
}

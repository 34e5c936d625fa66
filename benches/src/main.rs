//! What Switchhook costs, each figure beside its yardstick in the same run.
//!
//! `cargo build --release -p switchhook-server -p switchhook-benches`, then
//! `cargo run --release -p switchhook-benches -- all`; the results of one machine stand in
//! `docs/PERFORMANCE.md`. A yardstick is a program that the bench runs. What is compared takes turns,
//! round by round, so that whatever else the machine does meets both; ratios are medians of the
//! rounds' ratios. Servers are processes of their own: the real `switchhook`, and for the yardsticks
//! this binary again.
#![expect(clippy::print_stdout, reason = "a bench prints its table")]

mod bare;
mod clock;
mod cluster;
mod device;
mod idle_sockets;
mod installation;
mod invite;
mod load;
mod overload;
mod plugin_call;
mod plugin_platform;
mod process;
mod registration;
mod relay;
mod report;
mod series;
mod sign_in;
mod signal;
mod socket;
mod storage;
mod storm;
mod ticket;
mod tls;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::report::Report;

#[derive(Debug, Parser)]
#[command(name = "switchhook-benches", about = "What Switchhook costs, beside yardsticks")]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
    #[command(flatten)]
    options: Options,
}

/// What all benches share.
#[derive(Debug, Clone, clap::Args)]
struct Options {
    /// Results as JSON.
    #[arg(long, global = true)]
    json: bool,
    /// How often each figure is measured.
    #[arg(long, global = true, default_value_t = 5)]
    rounds: u32,
    /// The server's binary; otherwise the one beside this binary.
    #[arg(long, global = true)]
    server: Option<PathBuf>,
    /// Where databases "on the disk" lie for the time of a bench; otherwise beside this binary.
    #[arg(long, global = true)]
    disk: Option<PathBuf>,
    /// Sockets of `idle-sockets` and `storm`.
    #[arg(long, global = true, default_value_t = 15_000)]
    sockets: u32,
    /// Routers in other languages for `plugin-platform`, as `switchhook plugin build` makes them.
    #[arg(long, global = true)]
    component: Vec<PathBuf>,
    /// Pairs of devices of `invite`.
    #[arg(long, global = true, default_value_t = 128)]
    pairs: u32,
}

#[derive(Debug, Clone, Subcommand)]
enum Bench {
    /// All of them.
    All,
    /// A routing decision in a fresh instance.
    PluginCall,
    /// Plugins of many tenants, and what loading them takes.
    PluginPlatform,
    /// Sealing and opening a session ticket.
    Ticket,
    /// What the storage's writer commits.
    Storage,
    /// From a device's invite to the ring at another.
    Invite,
    /// From a device's text to its registration.
    Registration,
    /// Sign-ins of users who exist, and of others.
    SignIn,
    /// Opaque messages from device to device.
    Signal,
    /// Memory of idle sockets.
    IdleSockets,
    /// Everybody comes back after the server was killed.
    Storm,
    /// More invites than the server can take.
    Overload,
    /// From invite to ring on three nodes, and the death of one.
    Cluster,
    /// Packets, allocations and STUN answers of the relay.
    Relay,
    /// The relay, by itself.
    #[command(hide = true)]
    ServeRelay {
        #[command(flatten)]
        stand: relay::servers::Stand,
    },
    /// A yardstick's server: datagrams, forwarded.
    #[command(hide = true)]
    ServeForwarder {
        /// How.
        way: relay::forwarders::Way,
        #[command(flatten)]
        flows: relay::forwarders::Flows,
    },
    /// A yardstick's server: routing decisions over HTTP.
    #[command(hide = true)]
    ServeWebhook,
    /// A yardstick's other process: a plugin that burns its whole budget on every call.
    #[command(hide = true)]
    Burn,
    /// A yardstick's server: sockets with next to nothing behind them.
    #[command(hide = true)]
    ServeSockets {
        /// How.
        kind: bare::Kind,
        #[command(flatten)]
        files: bare::Files,
    },
}

fn main() -> anyhow::Result<()> {
    let Cli { bench, options } = Cli::parse();
    process::raise_file_limit()?;
    let reports = match bench {
        Bench::ServeWebhook => return plugin_call::webhook::serve(),
        Bench::Burn => return plugin_platform::burn(),
        Bench::ServeSockets { kind, files } => return bare::serve(kind, &files),
        Bench::ServeRelay { stand } => return relay::servers::serve_relay(stand),
        Bench::ServeForwarder { way, flows } => return relay::forwarders::serve(way, flows),
        Bench::All => {
            let platform = plugin_platform::run(&options)?;
            let others = [
                plugin_call::run(&options)?,
                ticket::run(&options)?,
                storage::run(&options)?,
                invite::run(&options)?,
                registration::run(&options)?,
                sign_in::run(&options)?,
                signal::run(&options)?,
                idle_sockets::run(&options)?,
                storm::run(&options)?,
                overload::run(&options)?,
                cluster::run(&options)?,
                relay::run(&options)?,
            ];
            platform.into_iter().chain(others).collect()
        }
        Bench::PluginCall => vec![plugin_call::run(&options)?],
        Bench::PluginPlatform => plugin_platform::run(&options)?,
        Bench::Ticket => vec![ticket::run(&options)?],
        Bench::Storage => vec![storage::run(&options)?],
        Bench::Invite => vec![invite::run(&options)?],
        Bench::Registration => vec![registration::run(&options)?],
        Bench::SignIn => vec![sign_in::run(&options)?],
        Bench::Signal => vec![signal::run(&options)?],
        Bench::IdleSockets => vec![idle_sockets::run(&options)?],
        Bench::Storm => vec![storm::run(&options)?],
        Bench::Overload => vec![overload::run(&options)?],
        Bench::Cluster => vec![cluster::run(&options)?],
        Bench::Relay => vec![relay::run(&options)?],
    };
    if options.json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    } else {
        reports.iter().for_each(Report::print);
    }
    Ok(())
}

impl Options {
    /// The server's binary.
    fn server(&self) -> anyhow::Result<PathBuf> {
        let path = self.server.clone().map_or_else(|| process::beside("switchhook"), Ok)?;
        anyhow::ensure!(
            path.is_file(),
            "there is no {}: `cargo build --release -p switchhook-server`",
            path.display()
        );
        Ok(path)
    }

    /// A folder on the disk, for one round.
    fn on_disk(&self) -> anyhow::Result<tempfile::TempDir> {
        let parent = self.disk.clone().map_or_else(|| process::beside(""), Ok)?;
        tempfile::tempdir_in(&parent).with_context(|| format!("no folder in {}", parent.display()))
    }
}

/// A folder in memory, for one round.
fn in_memory() -> anyhow::Result<tempfile::TempDir> {
    tempfile::tempdir_in("/dev/shm").context("no folder in /dev/shm")
}

/// One thread: what a generator of load may use, so that the server has the other.
fn one_thread() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

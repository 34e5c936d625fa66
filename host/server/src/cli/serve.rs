//! `switchhook serve`.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
};

use anyhow::Context as _;
use clap::Args;
use switchhook_protocol::time::Timestamp;
use tokio::signal::unix::{SignalKind, signal};

use super::{installation::Installation, stop::Stop, telemetry};
use crate::{ADMIN_TOKEN, ROOT_KEYS, Server, Settings, sandbox};

/// Runs the server until it is told to stop (SIGINT, SIGTERM); told twice, or before it is ready, it stops at
/// once. SIGHUP lets it read the files of its TLS certificate again.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    installation: Installation,
    /// Where to listen for HTTP and WebSocket; overrides the settings.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Take any free ports, for tests: the addresses are printed.
    #[arg(long)]
    free_ports: bool,
    #[command(flatten)]
    loopback: Loopback,
    /// Logs and addresses as JSON.
    #[arg(long)]
    json: bool,
}

/// What may reach this machine itself.
#[derive(Debug, Args)]
struct Loopback {
    /// Lets relayed traffic reach this machine itself, for tests.
    #[arg(long)]
    allow_loopback_relay: bool,
    /// Lets SMS gateways be on this machine itself, for tests.
    #[arg(long)]
    allow_loopback_gateways: bool,
}

impl Serve {
    pub(crate) async fn run(self, clock: fn() -> Timestamp, change: fn(&mut Settings)) -> anyhow::Result<()> {
        telemetry::start(self.json, "info");
        let mut settings = self.settings()?;
        change(&mut settings);
        let (mut stop, mut hangup) = (Stop::new()?, signal(SignalKind::hangup())?);
        let server = tokio::select! {
            biased;
            () = stop.told() => {
                tracing::info!("told to stop before the server was ready");
                return Ok(());
            }
            started = Server::start_by(&settings, clock) => started.context("the server does not start")?,
        };
        self.print(&server, &settings)?;
        loop {
            tokio::select! {
                () = stop.told() => break,
                _ = hangup.recv() => server.reload(),
            }
        }
        tracing::info!("shutting down; once more to stop at once");
        server.shutdown(stop.told()).await;
        Ok(())
    }

    fn settings(&self) -> anyhow::Result<Settings> {
        let mut settings = self.installation.settings()?;
        if self.free_ports {
            settings = settings.with_free_ports();
        }
        if let Some(listen) = self.listen {
            settings.http.listen = listen;
        }
        settings.relay.allow_loopback |= self.loopback.allow_loopback_relay;
        settings.gateways.allow_loopback |= self.loopback.allow_loopback_gateways;
        settings.compiler = Some(std::env::current_exe().context("this program has no path")?);
        Ok(settings)
    }

    fn print(&self, server: &Server, settings: &Settings) -> io::Result<()> {
        let (addresses, data) = (server.addresses(), settings.data.as_path());
        let s = if settings.tls.is_some() { "s" } else { "" };
        let mut out = io::stdout().lock();
        if self.json {
            let line = serde_json::json!({
                "http": addresses.http, "cdx": addresses.cdx, "relay": addresses.relay, "data": data,
            });
            writeln!(out, "{line}")?;
            return out.flush();
        }
        writeln!(out, "switchhook is ready")?;
        writeln!(out, "  clients      ws{s}://{}/v1/{}/connect", addresses.http, crate::DEFAULT_TENANT)?;
        writeln!(out, "  admin        http{s}://{}/admin/v1", addresses.http)?;
        writeln!(
            out,
            "  cdx          udp and tcp {} and {}",
            addresses.cdx.primary, addresses.cdx.secondary
        )?;
        writeln!(out, "  relay        turn udp and tcp {}", addresses.relay)?;
        if let Some(tls) = addresses.relay_tls {
            writeln!(out, "               turn tls {tls}")?;
        }
        writeln!(out, "  secrets      {} (root keys)", data.join(ROOT_KEYS).display())?;
        writeln!(out, "               {} (operator's token)", data.join(ADMIN_TOKEN).display())?;
        writeln!(out, "               {} (sandbox transit)", data.join(sandbox::FILE).display())?;
        out.flush()
    }
}

//! `switchhook relay`.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
};

use anyhow::{Context as _, Result};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use super::{input::secret_of, stop::Stop, telemetry};
use crate::{
    relay_hosts::{
        apart::{self, Apart},
        link::Link,
        seen::{Standing, Window},
    },
    settings::{ServerUrl, Settings},
};

/// Variable that holds the token.
const TOKEN: &str = "SWITCHHOOK_TOKEN";

/// Runs a relay host that is no node, with the settings `[relay]` and `[tls]`, until it is told to stop (SIGINT,
/// SIGTERM); then it sends nobody away, and ends when nobody uses it any more. Told twice it stops at once. SIGHUP lets
/// it read the files of its TLS certificate again.
#[derive(Debug, Args)]
pub(crate) struct Relay {
    /// Settings file (TOML).
    #[arg(long, env = "SWITCHHOOK_SETTINGS")]
    settings: Option<PathBuf>,
    /// The nodes, or the balancer before them; overrides `relay.server`.
    #[arg(long, env = "SWITCHHOOK_SERVER")]
    server: Option<ServerUrl>,
    /// File with the token that `relay-hosts add` made; overrides `relay.token_file`. Without either,
    /// `SWITCHHOOK_TOKEN`.
    #[arg(long)]
    token_file: Option<PathBuf>,
    /// Where to listen for TURN; overrides the settings.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Where to answer `/healthz`, `/readyz` and `/metrics`; overrides `relay.http_listen`. Without either, nowhere.
    #[arg(long)]
    http_listen: Option<SocketAddr>,
    /// Name of the region where it stands; overrides the settings.
    #[arg(long)]
    region: Option<String>,
    /// Lets relayed traffic reach this machine itself, for tests.
    #[arg(long = "allow-loopback-relay")]
    allow_loopback: bool,
    /// Logs and addresses as JSON.
    #[arg(long)]
    json: bool,
}

impl Relay {
    pub(crate) async fn run(self) -> Result<()> {
        telemetry::start(self.json, "info");
        let settings = self.settings()?;
        let server =
            settings.relay.server.clone().context("no server: set `relay.server`, or say --server")?;
        let link = Link::new(server, token(settings.relay.token_file.as_ref())?)?;
        let (mut stop, mut hangup) = (Stop::new()?, signal(SignalKind::hangup())?);
        let standing = Arc::new(Standing::default());
        let window = match settings.relay.http_listen {
            Some(addr) => Some(Window::open(addr, Arc::clone(&standing)).await?),
            None => None,
        };
        let orders = tokio::select! {
            biased;
            () = stop.told() => {
                tracing::info!("told to stop before the relay host was ready");
                return Ok(());
            }
            orders = apart::enter(&link) => orders?,
        };
        let apart = Apart::start(&settings, link, &orders, standing).await;
        let apart = Arc::new(apart.context("the relay host does not start")?);
        apart.run();
        self.print(&apart, window.as_ref().map(|window| window.addr))?;
        loop {
            tokio::select! {
                () = stop.told() => break,
                _ = hangup.recv() => apart.reload(),
            }
        }
        apart.shutdown(stop.told()).await;
        if let Some(window) = window {
            window.close().await;
        }
        Ok(())
    }

    fn settings(&self) -> Result<Settings> {
        let mut settings = match &self.settings {
            Some(path) => Settings::read(path)?,
            None => Settings::default(),
        };
        let relay = &mut settings.relay;
        relay.server = self.server.clone().or_else(|| relay.server.take());
        relay.token_file = self.token_file.clone().or_else(|| relay.token_file.take());
        relay.listen = self.listen.unwrap_or(relay.listen);
        relay.http_listen = self.http_listen.or(relay.http_listen);
        relay.region = self.region.clone().unwrap_or_else(|| relay.region.clone());
        relay.allow_loopback |= self.allow_loopback;
        Ok(settings)
    }

    fn print(&self, apart: &Apart, http: Option<SocketAddr>) -> io::Result<()> {
        let (addr, tls) = (apart.relay.addr(), apart.relay.tls_addr());
        let mut out = io::stdout().lock();
        if self.json {
            let line = serde_json::json!({ "host": apart.id, "relay": addr, "relay_tls": tls, "http": http });
            writeln!(out, "{line}")?;
            return out.flush();
        }
        writeln!(out, "relay host {} is ready", apart.id)?;
        writeln!(out, "  relay        turn udp and tcp {addr}")?;
        if let Some(tls) = tls {
            writeln!(out, "               turn tls {tls}")?;
        }
        if let Some(http) = http {
            writeln!(out, "  health       http://{http}/readyz and /metrics")?;
        }
        out.flush()
    }
}

/// From a file or the environment, never from the command line, where other processes of the machine would read it.
fn token(file: Option<&PathBuf>) -> Result<Zeroizing<String>> {
    let token = match file {
        Some(file) => secret_of(file)?,
        None => {
            std::env::var(TOKEN).with_context(|| format!("no token: say --token-file, or set {TOKEN}"))?
        }
    };
    Ok(Zeroizing::new(token.trim().to_owned()))
}

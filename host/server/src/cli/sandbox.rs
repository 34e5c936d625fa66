//! `switchhook sandbox`: the sandbox transit of a server on this machine.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
};

use anyhow::Context as _;
use clap::Args;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::telemetry;
use crate::{Carrier, SandboxFile, sandbox::default_tenant};

/// Runs the sandbox transit: `POST /phones/<number>/texts` sends, `GET` of the same reads.
#[derive(Debug, Args)]
pub(crate) struct Sandbox {
    /// The server's data folder: where the sandbox gateway's secret lies.
    #[arg(long, env = "SWITCHHOOK_DATA", default_value = "switchhook-data")]
    data: PathBuf,
    /// The server's HTTP address.
    #[arg(long, default_value = "127.0.0.1:7470")]
    host: SocketAddr,
    /// Where to listen; the gateway's send URL of a new installation.
    #[arg(long, default_value = "127.0.0.1:7471")]
    listen: SocketAddr,
}

impl Sandbox {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        telemetry::start(false, "info");
        let file = SandboxFile::read(&self.data).with_context(|| {
            format!("no sandbox secret in {}; start `switchhook serve` first", self.data.display())
        })?;
        let listener = TcpListener::bind(self.listen).await.context("cannot listen")?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        Carrier::new(self.host, &default_tenant(), file.secret)?.serve(listener, &tasks, stop.clone());
        writeln!(
            io::stdout(),
            "the sandbox transit is ready: http://{}/phones/+15550100/texts",
            self.listen
        )?;
        tokio::signal::ctrl_c().await?;
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        Ok(())
    }
}

//! `switchhook sandbox`: phones and mailboxes for a server on this machine.

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
use crate::{
    Carrier, Mailboxes, SandboxFile,
    sandbox::{self, MAIL, default_tenant},
};

/// Runs the sandbox, phones and mailboxes: `POST /phones/<number>/texts` sends a text, `GET` of the same reads,
/// `GET /mailboxes/<address>/mails` reads mails.
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
    /// Where to take mails; the mail server of a new installation.
    #[arg(long, default_value_t = MAIL)]
    mail_listen: SocketAddr,
}

impl Sandbox {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        telemetry::start(false, "info");
        let file = SandboxFile::read(&self.data).with_context(|| {
            format!("no sandbox secret in {}; start `switchhook serve` first", self.data.display())
        })?;
        let listener = TcpListener::bind(self.listen).await.context("cannot listen")?;
        let mails = TcpListener::bind(self.mail_listen).await.context("cannot listen for mails")?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let mailboxes = Mailboxes::default();
        let carrier = Carrier::new(self.host, &default_tenant(), file.secret)?;
        sandbox::serve(carrier.router().merge(mailboxes.router()), listener, &tasks, stop.clone());
        mailboxes.serve(mails, &tasks, stop.clone());
        let Self { listen, mail_listen, .. } = self;
        writeln!(
            io::stdout(),
            "the sandbox is ready: http://{listen}/phones/+15550100/texts\n\
             and, of mails to {mail_listen}, http://{listen}/mailboxes/bob@example.org/mails"
        )?;
        tokio::signal::ctrl_c().await?;
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        Ok(())
    }
}

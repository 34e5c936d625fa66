//! A relay host in a process of its own (`switchhook relay`).

use std::{
    ffi::OsStr,
    net::SocketAddr,
    process::{ExitStatus, Stdio},
};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::waiting::in_time;

/// A running relay host; killed when dropped.
#[derive(Debug)]
pub struct RelayHost {
    child: Child,
    /// Its id, as the server told it.
    pub id: String,
    /// Where clients reach it over UDP and TCP.
    pub relay: SocketAddr,
    /// The same over TLS.
    pub relay_tls: Option<SocketAddr>,
    /// Where it says how it is, if it was told to.
    pub http: Option<SocketAddr>,
    _said: Lines<BufReader<ChildStdout>>,
}

impl RelayHost {
    /// Starts one by this token, with more options; it listens, and enters within moments.
    pub async fn start(
        program: &str,
        (server, token): (SocketAddr, &str),
        listen: &str,
        options: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["relay", "--json", "--server", &format!("http://{server}"), "--listen", listen]);
        command.args(options).env("SWITCHHOOK_TOKEN", token).env("RUST_LOG", "warn").kill_on_drop(true);
        // Whoever listens to its commands has to have something to listen to.
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().context("the binary does not start")?;
        let mut said = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let line = in_time("the relay host's start", said.next_line()).await??.context("it has ended")?;
        let told: Value = serde_json::from_str(&line)?;
        let text = |name: &str| told.get(name).and_then(Value::as_str);
        let (id, relay) = (text("host").context("no id")?.to_owned(), text("relay").context("no address")?);
        let addr = |name: &str| text(name).map(str::parse).transpose();
        let (relay_tls, http) = (addr("relay_tls")?, addr("http")?);
        Ok(Self { child, id, relay: relay.parse()?, relay_tls, http, _said: said })
    }

    /// Kills it: no chance to say goodbye.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.start_kill()?;
        self.ended().await?;
        Ok(())
    }

    /// Asks it to end.
    pub fn terminate(&self) -> Result<()> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).context("it has ended")?;
        Ok(kill_process(Pid::from_raw(id).context("no process id")?, Signal::TERM)?)
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        Ok(in_time("the end of the relay host", self.child.wait()).await??)
    }
}

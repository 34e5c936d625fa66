//! A server in a process of its own, which a test ends wherever it likes.
//!
//! The binary under test has named points ([`Process::arm`]): at an armed one the process aborts.
//! Every point that it passes it says on standard error, so that a test knows them all.

use std::{
    ffi::OsStr,
    net::SocketAddr,
    path::Path,
    process::{ExitStatus, Stdio},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    sync::watch,
};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::waiting::in_time;

/// A running process; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    commands: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    /// Where it answers.
    pub http: SocketAddr,
    passed: watch::Receiver<Vec<String>>,
    _listening: AbortOnDropHandle<String>,
}

impl Process {
    /// Starts the binary on a data folder; at a former address if there is one.
    pub async fn start(program: &str, data: &Path, listen: Option<SocketAddr>) -> Result<Self> {
        let listen = listen.map(|listen| listen.to_string());
        let options = listen.iter().flat_map(|listen| ["--listen", listen]);
        Self::with(program, data, options).await
    }

    /// Starts the binary on a data folder, with more options of `serve`. An error has the last words of a binary that
    /// does not start.
    pub async fn with(
        program: &str,
        data: &Path,
        options: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["serve", "--free-ports", "--allow-loopback-gateways", "--json", "--data"]);
        command.arg(data).args(options);
        command.env("RUST_LOG", "warn,fail_point=trace").kill_on_drop(true);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().context("the binary does not start")?;
        let commands = child.stdin.take().context("no standard input")?;
        let mut said = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let (passing, passed) = watch::channel(Vec::new());
        let stderr = child.stderr.take().context("no standard error")?;
        let listening = AbortOnDropHandle::new(TaskTracker::new().spawn(listen_to(stderr, passing)));
        let Some(line) = in_time("the server's start", said.next_line()).await?? else {
            bail!("it has ended: {}", in_time("its last words", listening).await??.trim());
        };
        let addresses: Value = serde_json::from_str(&line)?;
        let http = addresses.get("http").and_then(Value::as_str).context("no address")?.parse()?;
        Ok(Self { child, commands, said, http, passed, _listening: listening })
    }

    /// Lets the process end at the point of this name.
    pub async fn arm(&mut self, point: &str) -> Result<()> {
        self.commands.write_all(format!("{point}\n").as_bytes()).await?;
        in_time("the arming", self.said.next_line()).await??.context("it is gone")?;
        Ok(())
    }

    /// The points that it has passed, in order.
    pub fn passed(&self) -> Vec<String> {
        self.passed.borrow().clone()
    }

    /// Waits until it has passed a point so many times; false if it ends before that.
    pub async fn passes(&self, point: &str, times: usize) -> Result<bool> {
        let mut passed = self.passed.clone();
        let often = |passed: &Vec<String>| passed.iter().filter(|name| *name == point).count() >= times;
        // What it says ends with it: then there is nothing more to wait for.
        Ok(in_time(point, passed.wait_for(often)).await?.is_ok())
    }

    /// The points that it passed in its whole life; waits for its end.
    pub async fn passed_in_all(&mut self) -> Result<Vec<String>> {
        self.ended().await?;
        let mut passed = self.passed.clone();
        in_time("its last word", async { while passed.changed().await.is_ok() {} }).await?;
        Ok(self.passed())
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        Ok(in_time("the end of the process", self.child.wait()).await??)
    }

    /// Kills it: no chance to do anything more.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.start_kill()?;
        self.ended().await?;
        Ok(())
    }

    /// Asks it to end.
    pub fn terminate(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Asks it to read its certificate again.
    pub fn hang_up(&self) -> Result<()> {
        self.signal(Signal::HUP)
    }

    /// Stops it without a word: its connections stay open, and nothing answers.
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// It goes on as if nothing had been.
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).context("it has ended")?;
        let id = Pid::from_raw(id).context("no process id")?;
        Ok(kill_process(id, signal)?)
    }
}

/// Hears which points it passes; answers, when it has ended, what it said that was no log.
async fn listen_to(stderr: ChildStderr, passed: watch::Sender<Vec<String>>) -> String {
    let mut lines = BufReader::new(stderr).lines();
    let mut words = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(said) = serde_json::from_str::<Value>(&line) else {
            words.push_str(&line);
            words.push('\n');
            continue;
        };
        if let Some(point) = said.pointer("/fields/point").and_then(Value::as_str) {
            passed.send_modify(|passed| passed.push(point.to_owned()));
        }
    }
    words
}

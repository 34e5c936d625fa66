//! Processes that a bench starts, and what the kernel knows of them.

use std::{
    fs,
    path::PathBuf,
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use rustix::process::{Pid, Resource, Signal, getrlimit, kill_process, setrlimit};

use crate::{socket::Door, tls::Certificate};

/// Of this process, in KiB.
pub(crate) fn resident() -> anyhow::Result<f64> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kib = line.and_then(|line| line.split_ascii_whitespace().next()).context("no RSS")?;
    Ok(kib.parse()?)
}

/// A process that ends with its handle.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Running {
    /// Starts a program; gives its output beside it.
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<(Self, ChildStdout)> {
        let mut running = Self::spawn(command.stdout(Stdio::piped()))?;
        let output = running.0.stdout.take().context("the output was asked for")?;
        Ok((running, output))
    }

    /// Starts a program; gives what it says on standard error beside it.
    pub(crate) fn start_saying(command: &mut Command) -> anyhow::Result<(Self, ChildStderr)> {
        let mut running = Self::spawn(command.stderr(Stdio::piped()))?;
        let said = running.0.stderr.take().context("standard error was asked for")?;
        Ok((running, said))
    }

    fn spawn(command: &mut Command) -> anyhow::Result<Self> {
        let program = command.get_program().to_owned();
        let child = command.stdin(Stdio::null()).spawn();
        Ok(Self(child.with_context(|| format!("cannot start {}", program.display()))?))
    }

    /// Starts this program again, as a yardstick's server; gives the line by which it says that it is ready.
    pub(crate) fn yardstick(arguments: &[&str]) -> anyhow::Result<(Self, String)> {
        let (running, output) = Self::start(Command::new(std::env::current_exe()?).args(arguments))?;
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line)?;
        Ok((running, line.trim().to_owned()))
    }

    /// Starts a bare server of sockets; without TLS if there is no certificate.
    pub(crate) fn bare_sockets(
        kind: &str,
        certificate: Option<&Certificate>,
    ) -> anyhow::Result<(Self, Door)> {
        let files =
            certificate.map(|made| [made.certificate(), made.key()].map(|file| file.display().to_string()));
        let options = files
            .iter()
            .flat_map(|[certificate, key]| ["--certificate", certificate.as_str(), "--key", key.as_str()]);
        let arguments: Vec<&str> = ["serve-sockets", kind].into_iter().chain(options).collect();
        let (process, addr) = Self::yardstick(&arguments)?;
        let tls = certificate.map(|certificate| certificate.believed.clone());
        Ok((process, Door { addr: addr.parse()?, tls }))
    }

    /// Kills it: no chance to do anything more.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.0), Signal::TERM)?;
        let status = self.0.wait()?;
        anyhow::ensure!(status.success(), "it ended with {status}");
        Ok(())
    }

    /// Its share of physical memory, in KiB: pages of its own, and its part of shared ones.
    pub(crate) fn memory(&self) -> anyhow::Result<f64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.0.id()))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        let kib = line.and_then(|line| line.split_ascii_whitespace().next()).context("no PSS")?;
        Ok(kib.parse()?)
    }

    /// How long its threads have run, to the nanosecond; those that have ended are not counted.
    pub(crate) fn time_on_cores(&self) -> anyhow::Result<Duration> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.0.id()))?;
        let times = threads.map(|thread| {
            let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
            let time = schedstat.split_ascii_whitespace().next().context("no schedstat")?;
            Ok(Duration::from_nanos(time.parse()?))
        });
        times.sum()
    }

    /// Processor time that it has used, in user and system mode.
    pub(crate) fn processor_time(&self) -> anyhow::Result<Duration> {
        /// The kernel's unit towards user space (`USER_HZ`), the same on every architecture of ours.
        const TICK: Duration = Duration::from_millis(10);
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        // The second field is the program's name in parentheses, which may hold anything.
        let (_, fields) = stat.rsplit_once(')').context("no stat")?;
        let ticks = fields.split_ascii_whitespace().skip(11).take(2).map(str::parse::<u32>);
        Ok(ticks.sum::<Result<u32, _>>().map(|ticks| TICK * ticks)?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

/// A file beside this program.
pub(crate) fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.parent().context("a program lies in a folder")?.join(name))
}

/// Lets this process and those that it starts open as many sockets as they may.
pub(crate) fn raise_file_limit() -> anyhow::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).context("cannot raise the limit of open files")
}

//! A machine of the lab.

use std::{
    fmt,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, UdpSocket},
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};

use crate::{lab::Network, namespace::Namespace};

/// A machine with one interface.
#[derive(Debug)]
pub struct Host {
    namespace: Namespace,
    ip: Ipv4Addr,
    ipv6: Option<Ipv6Addr>,
}

/// Its cable's end.
const INTERFACE: &str = "wan";

impl Host {
    /// A machine in this network.
    pub(crate) fn new(network: &impl Network) -> Result<Self> {
        let namespace = Namespace::new()?;
        let ip = network.plug(&namespace, INTERFACE)?;
        Ok(Self { namespace, ip, ipv6: None })
    }

    /// The machine that this namespace is, at this address.
    pub(crate) const fn at(ip: Ipv4Addr, namespace: Namespace) -> Self {
        Self { namespace, ip, ipv6: None }
    }

    /// Gives it an IPv6 address, at the end of its cable or in its LAN.
    pub(crate) fn get_ipv6(
        &mut self,
        address: Ipv6Addr,
        lay: impl FnOnce(&Namespace, &str) -> Result<()>,
    ) -> Result<()> {
        lay(&self.namespace, INTERFACE)?;
        self.ipv6 = Some(address);
        Ok(())
    }

    /// Takes away its way out over IPv4.
    pub(crate) fn lose_ipv4(&self) -> Result<()> {
        self.namespace.ip(&["route del 0.0.0.0/0"])
    }

    /// Sends packets of so many bytes at most.
    pub(crate) fn narrow(&self, bytes: u16) -> Result<()> {
        self.namespace.ip(&[&format!("link set {INTERFACE} mtu {bytes}")])
    }

    /// Its IPv4 address, which need not be one that others reach.
    pub const fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// Its IPv6 address, which others reach, if it has one.
    pub const fn ipv6(&self) -> Option<Ipv6Addr> {
        self.ipv6
    }

    /// Opens a socket on its address; 0 is any port.
    pub fn bind(&self, port: u16) -> Result<UdpSocket> {
        Ok(self.enter(|| UdpSocket::bind(SocketAddrV4::new(self.ip, port)))??)
    }

    /// Works on this machine: what is opened there stays there, whoever uses it later.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        self.namespace.enter(work)
    }

    /// Runs a program to its end; what it printed if it succeeds.
    pub fn run(&self, command: &mut Command) -> Result<String> {
        self.namespace.run(command, "")
    }

    /// Starts a program that runs until the companion is dropped.
    pub fn start(&self, program: &str, arguments: &[&str]) -> Result<Companion> {
        let mut shell = Command::new("sh");
        shell.args(["-c", RUN_UNTIL_LEFT, "sh", program]).args(arguments);
        shell.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = self.enter(|| shell.spawn())?.context("no shell")?;
        let said = BufReader::new(child.stdout.take().context("no standard output")?);
        Ok(Companion { shell: child, said })
    }
}

/// The shell waits for the end of its input, which comes when this process closes it or dies.
const RUN_UNTIL_LEFT: &str = r#""$@" 2>&1 </dev/null & pid=$!; read -r _; kill -KILL "$pid"; wait "$pid""#;

/// A program beside the test, ended when dropped or when this process is killed.
pub struct Companion {
    shell: Child,
    said: BufReader<ChildStdout>,
}

impl Companion {
    /// Waits until it prints a line with this text.
    pub fn wait_for(&mut self, text: &str) -> Result<()> {
        while !self.next_line()?.contains(text) {}
        Ok(())
    }

    /// Waits for the next line that it prints.
    pub fn next_line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.said.read_line(&mut line)? > 0, "it ended, and said no more");
        Ok(line)
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Its only failure is that somebody else waited for it.
        drop(self.shell.wait());
    }
}

impl fmt::Debug for Companion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Companion").field("process", &self.shell.id()).finish_non_exhaustive()
    }
}

//! Network namespaces without names.
//!
//! A thread leaves for a new namespace, opens it as a file and ends. The namespace exists as long as
//! that file is open, or a socket or process is in it. There is nothing to take down: not after a
//! panic, not after a kill.

use std::{
    fs::File,
    io::Write as _,
    os::fd::AsRawFd as _,
    panic,
    path::PathBuf,
    process::{self, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sched::{CloneFlags, setns, unshare};

use crate::ipv6;

/// Numbers of interfaces that no namespace gives by itself.
static CABLES: AtomicU32 = AtomicU32::new(1_000);

/// Looks at an interface before it counts as broken; each starts a program.
const LOOKS: u32 = 5_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Namespace(File);

impl Namespace {
    /// A namespace with nothing but a loopback interface, which is up.
    pub(crate) fn new() -> Result<Self> {
        let namespace = Self(in_a_thread(make).context("no namespace of its own")?);
        ipv6::prepare(&namespace)?;
        namespace.ip(&["link set lo up"])?;
        Ok(namespace)
    }

    /// Works inside: what is opened or started there belongs to the namespace.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let inside = || {
            setns(&self.0, CloneFlags::CLONE_NEWNET)?;
            Ok(work())
        };
        in_a_thread(inside)
    }

    /// Runs a program to its end, with this as its input; its output if it succeeds.
    pub(crate) fn run(&self, command: &mut Command, input: &str) -> Result<String> {
        let name = command.get_program().to_string_lossy().into_owned();
        let output = self.enter(|| {
            let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = pipes.spawn()?;
            // A program that ends before it has read everything says why itself.
            drop(child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes())));
            child.wait_with_output()
        })?;
        let output = output.with_context(|| format!("{name} does not run"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complained = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{name}: {}: {complained}\n{said}\nof {input}", output.status);
        Ok(said)
    }

    /// Runs `ip` once with these lines.
    pub(crate) fn ip(&self, lines: &[&str]) -> Result<()> {
        self.run(Command::new("ip").args(["-batch", "-"]), &(lines.join("\n") + "\n"))?;
        Ok(())
    }

    /// Loads nftables rules.
    pub(crate) fn nft(&self, rules: &str) -> Result<()> {
        self.run(Command::new("nft").args(["-f", "-"]), rules)?;
        Ok(())
    }

    /// Writes a setting below `/proc/sys/net`, which shows everybody their own namespace's.
    pub(crate) fn sysctl(&self, name: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/net/{name}");
        self.enter(|| std::fs::write(&path, value))?.with_context(|| format!("cannot write {path}"))
    }

    /// Lays a cable to another namespace, with an interface at each end, and waits until it carries.
    ///
    /// What a host sends merged leaves it as datagrams, as by a real cable: a gateway here reads what a cable carries.
    pub(crate) fn cable(&self, here: &str, other: &Self, there: &str) -> Result<()> {
        self.lay((here, " gso_max_segs 1"), other, there)
    }

    /// The same, but what is sent merged arrives merged, as over loopback, or through cards that cut and merge.
    pub(crate) fn merging_cable(&self, here: &str, other: &Self, there: &str) -> Result<()> {
        self.lay((here, ""), other, there)
    }

    fn lay(&self, (here, setting): (&str, &str), other: &Self, there: &str) -> Result<()> {
        // Linux takes an end for one of a cable if the other has another number; else it is slower.
        let index = CABLES.fetch_add(1, Ordering::Relaxed);
        let far = other.path();
        let far = far.display();
        self.ip(&[&format!("link add name {here} index {index} type veth peer name {there} netns {far}")])?;
        self.ip(&[&format!("link set {here} up{setting}")])?;
        other.ip(&[&format!("link set {there} up{setting}")])?;
        self.wait_until_up(here)?;
        other.wait_until_up(there)
    }

    /// Waits until an interface carries: the kernel looks after its cables in the background, and until
    /// then drops what is sent.
    pub(crate) fn wait_until_up(&self, interface: &str) -> Result<()> {
        for _ in 0..LOOKS {
            let shown =
                self.run(Command::new("ip").args(["-oneline", "link", "show", "dev", interface]), "")?;
            if shown.contains("state UP") {
                return Ok(());
            }
        }
        bail!("{interface} does not come up")
    }

    /// Under which other processes find it, as long as this one keeps it.
    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", process::id(), self.0.as_raw_fd()))
    }
}

/// A thread has a namespace of its own; it ends before it could confuse others.
fn in_a_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    match thread::scope(|scope| scope.spawn(work).join()) {
        Ok(result) => result,
        Err(panicked) => panic::resume_unwind(panicked),
    }
}

fn make() -> Result<File> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    Ok(File::open("/proc/thread-self/ns/net")?)
}

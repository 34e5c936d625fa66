//! Brings onto the machine what building and testing need beyond cargo.
//!
//! Needed: the standard library of two targets, one that guests are built for and one that proves
//! `core` and `protocol` pure. Welcome: independent counterparts, programs of others that some tests
//! check ours against. They are installed where that can be done without asking (as root on a Debian
//! system); elsewhere the tests that want them say that they were skipped.

use std::{
    env, fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use crate::{command, repository::Repository};

/// What guests are built for, and what has no standard library at all.
const WASM_TARGETS: [&str; 2] = ["wasm32-unknown-unknown", "wasm32v1-none"];

/// Programs of others that tests call.
const COUNTERPARTS: &[Counterpart] = &[
    Counterpart { package: "chromium-headless-shell", programs: &["chromium-headless-shell"], service: None },
    Counterpart {
        package: "coturn",
        programs: &["turnserver", "turnutils_natdiscovery", "turnutils_stunclient", "turnutils_uclient"],
        service: Some("coturn"),
    },
    Counterpart { package: "dovecot-imapd", programs: &["dovecot"], service: Some("dovecot") },
    Counterpart { package: "iproute2", programs: &["ip"], service: None },
    Counterpart { package: "nftables", programs: &["nft"], service: None },
    Counterpart { package: "nats-server", programs: &["nats-server"], service: Some("nats-server") },
    Counterpart { package: "nodejs", programs: &["node"], service: None },
    Counterpart { package: "npm", programs: &["npm"], service: None },
    Counterpart { package: "postgresql", programs: &["initdb", "postgres"], service: Some("postgresql") },
    Counterpart { package: "python3-venv", programs: &["python3"], service: None },
    Counterpart { package: "valgrind", programs: &["valgrind"], service: None },
];

/// Debian keeps PostgreSQL's programs out of the path, in a folder `bin` for each version.
const POSTGRESQL: &str = "/usr/lib/postgresql";

/// Seconds until an installation is given up.
const INSTALL_LIMIT: &str = "300";

/// Debian asks this program before a package may start its service.
const SERVICE_POLICY: &str = "/usr/sbin/policy-rc.d";

/// Adds the missing targets to the toolchain in use, explicitly: rustup may be set to install nothing by itself.
pub(crate) fn wasm_targets(repository: &Repository) -> Result<()> {
    let missing: Vec<_> =
        WASM_TARGETS.into_iter().filter(|target| !is_installed(repository, target)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add"]).args(&missing).current_dir(repository.path(""));
    command::run(&mut rustup)
        .with_context(|| format!("guests need the targets {}: install them by hand", missing.join(", ")))?;
    ensure!(
        missing.iter().all(|target| is_installed(repository, target)),
        "rustup added {} to another toolchain than the one of rust-toolchain.toml",
        missing.join(", ")
    );
    Ok(())
}

struct Counterpart {
    /// Of Debian.
    package: &'static str,
    /// What tests call of it.
    programs: &'static [&'static str],
    /// What it would start, which no test wants.
    service: Option<&'static str>,
}

/// Installs the counterparts that are missing, where that is allowed; otherwise says so.
pub(crate) fn counterparts() {
    for counterpart in COUNTERPARTS {
        let Counterpart { package, programs, .. } = counterpart;
        if programs.iter().all(|program| in_path(program) || of_postgresql(program)) {
            continue;
        }
        if !may_install() {
            println!(
                "{package} is not installed; the tests that call {} will be skipped",
                programs.join(", ")
            );
        } else if let Err(error) = install(counterpart) {
            println!("{package} could not be installed, the tests that need it will be skipped: {error:#}");
        }
    }
}

fn is_installed(repository: &Repository, target: &str) -> bool {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--print", "target-libdir", "--target", target]).current_dir(repository.path(""));
    command::output(&mut rustc).is_ok_and(|folder| Path::new(folder.trim()).exists())
}

fn may_install() -> bool {
    let root = command::output(Command::new("id").arg("--user")).is_ok_and(|id| id.trim() == "0");
    root && Path::new("/etc/debian_version").exists() && in_path("apt-get") && in_path("timeout")
}

fn install(&Counterpart { package, service, .. }: &Counterpart) -> Result<()> {
    println!("installing {package}, which tests call");
    let _no_service = NoService::new()?;
    let mut install = apt_get(&["--no-install-recommends", "install", package]);
    // Refreshing the lists takes longer than the rest, so only where they are absent or too old.
    if !command::succeeds(&mut install) {
        command::run(&mut apt_get(&["update"]))?;
        command::run(&mut install)?;
    }
    if let Some(service) = service {
        // Nor after the machine's next start: it has a unit of systemd's, or a script, or both.
        let by_systemd = command::succeeds(Command::new("systemctl").args(["disable", service]));
        let by_script = command::succeeds(Command::new("update-rc.d").args([service, "disable"]));
        if !by_systemd && !by_script {
            println!("{service} may run after the machine's next start: nobody could disable it");
        }
    }
    Ok(())
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut apt_get = Command::new("timeout");
    apt_get.args([INSTALL_LIMIT, "apt-get", "--quiet=2", "--yes", "--option", "DPkg::Lock::Timeout=120"]);
    apt_get.args(["--option", "Dpkg::Use-Pty=0"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    apt_get
}

fn in_path(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).exists()))
}

fn of_postgresql(program: &str) -> bool {
    let versions = fs::read_dir(POSTGRESQL).into_iter().flatten().flatten();
    versions.into_iter().any(|version| version.path().join("bin").join(program).exists())
}

/// While this lives, packages that are installed start no service of theirs.
struct NoService {
    ours: Option<PathBuf>,
}

impl NoService {
    /// Leaves a policy that the machine already has as it is.
    fn new() -> Result<Self> {
        let policy = PathBuf::from(SERVICE_POLICY);
        match fs::File::create_new(&policy) {
            Ok(_created) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Ok(Self { ours: None });
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot write {SERVICE_POLICY}"));
            }
        }
        let guard = Self { ours: Some(policy.clone()) };
        fs::write(&policy, "#!/bin/sh\nexit 101\n")?;
        fs::set_permissions(&policy, fs::Permissions::from_mode(0o755))?;
        Ok(guard)
    }
}

impl Drop for NoService {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.ours.take().map(fs::remove_file) {
            println!("remove {SERVICE_POLICY} by hand, it keeps services from starting: {error}");
        }
    }
}

//! An IMAP server of others: Dovecot, with mailboxes in a folder of the test.

use std::{
    fs,
    io::ErrorKind,
    net::{Ipv6Addr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use anyhow::{Context as _, Result};
use switchhook_client::mailbox::Mailbox;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{self, Child, ChildStderr},
};
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::{certificates::Authority, port::Port, skipped, waiting::in_time};

/// The password of every mailbox.
const PASSWORD: &str = "a-mailboxs-secret";

/// Whose the mailboxes are on the machine: Dovecot refuses to be root there.
const OWNER: &str = "mail";

/// A running server; it ends when dropped.
#[derive(Debug)]
pub struct Dovecot {
    _child: Child,
    /// What it says: a server that nobody listens to ends.
    _said: Lines<BufReader<ChildStderr>>,
    port: Port,
    authority: Authority,
    folder: TempDir,
}

impl Dovecot {
    /// Starts a server; none, and said so for this test, where it cannot run.
    pub async fn start(test: &str) -> Result<Option<Self>> {
        let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0");
        if !root || !skipped::has(test, "dovecot", 2) {
            skipped::say(test, "Dovecot runs as root only");
            return Ok(None);
        }
        let (folder, authority) = (tempfile::tempdir()?, Authority::new("Mailboxes")?);
        open_to_all(folder.path())?;
        let certified = authority.server()?;
        fs::write(folder.path().join("certificate.pem"), certified.certificate)?;
        fs::write(folder.path().join("key.pem"), certified.key)?;
        let mut tries = 0..5;
        let (child, said, port) = loop {
            match run(folder.path()).await {
                Ok(running) => break running,
                // Somebody else has the port at the other address.
                Err(trouble) => tries.next().map(drop).ok_or(trouble)?,
            }
        };
        Ok(Some(Self { _child: child, _said: said, port, authority, folder }))
    }

    /// A person's mailbox; made by the first mail that comes or the first look.
    pub fn mailbox(&self, person: &str) -> Result<Mailbox> {
        self.made(person)?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.pem().as_bytes())?)?;
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Mailbox::new("localhost", person, PASSWORD).port(self.port.addr.port()).tls(Arc::new(tls)))
    }

    /// A mail comes.
    pub fn deliver(&self, person: &str, name: &str, mail: &str) -> Result<()> {
        let folder = self.made(person)?;
        let coming = folder.join("tmp").join(name);
        fs::write(&coming, mail)?;
        fs::set_permissions(&coming, fs::Permissions::from_mode(0o644))?;
        Ok(fs::rename(coming, folder.join("new").join(name))?)
    }

    fn made(&self, person: &str) -> Result<PathBuf> {
        let folder = self.folder.path().join("mail").join(person);
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(folder.join(part))?;
            open_to_all(&folder.join(part))?;
        }
        open_to_all(&folder)?;
        Ok(folder)
    }
}

/// Runs it at a port that is free at both addresses of this machine.
async fn run(folder: &Path) -> Result<(Child, Lines<BufReader<ChildStderr>>, Port)> {
    let port = Port::any()?;
    let listen = match TcpListener::bind((Ipv6Addr::LOCALHOST, port.addr.port())) {
        Ok(_) => "127.0.0.1, ::1",
        Err(taken) if taken.kind() == ErrorKind::AddrInUse => return Err(taken.into()),
        Err(_) => "127.0.0.1",
    };
    let file = folder.join("dovecot.conf");
    fs::write(&file, configuration(folder, listen, port.addr.port()))?;
    let mut command = process::Command::new("dovecot");
    command.arg("-F").arg("-c").arg(&file).kill_on_drop(true);
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut said = BufReader::new(child.stderr.take().context("it says nothing")?).lines();
    in_time("the mailboxes", async {
        while let Some(line) = said.next_line().await? {
            if line.contains("starting up") {
                return Ok(());
            }
        }
        anyhow::bail!("Dovecot has ended")
    })
    .await??;
    Ok((child, said, port))
}

/// Its owner is another user than the test's.
fn open_to_all(folder: &Path) -> Result<()> {
    Ok(fs::set_permissions(folder, fs::Permissions::from_mode(0o777))?)
}

fn configuration(folder: &Path, listen: &str, port: u16) -> String {
    let folder = folder.display();
    format!(
        "base_dir = {folder}/run\nstate_dir = {folder}/run\nlog_path = /dev/stderr\nprotocols = imap\n\
         listen = {listen}\nssl = required\nssl_cert = <{folder}/certificate.pem\nssl_key = <{folder}/key.pem\n\
         mail_location = maildir:{folder}/mail/%n\nfirst_valid_uid = 1\n\
         passdb {{\n  driver = static\n  args = password={PASSWORD}\n}}\n\
         userdb {{\n  driver = static\n  args = uid={OWNER} gid={OWNER} home={folder}/mail/%n\n}}\n\
         service imap-login {{\n  chroot =\n  inet_listener imap {{\n    port = 0\n  }}\n\
         \x20 inet_listener imaps {{\n    port = {port}\n  }}\n}}\n"
    )
}

//! mosquitto, a broker of MQTT, with MQTT over WebSocket: the yardstick that others run.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Context as _;
use tempfile::TempDir;

use crate::{
    process::Running,
    socket::{Door, Socket},
    tls::Certificate,
};

/// Debian keeps servers out of an ordinary user's path.
const OF_DEBIAN: &str = "/usr/sbin/mosquitto";

/// `CONNACK`, accepted, no session (MQTT 3.1.1 §3.2).
const ACCEPTED: [u8; 4] = [0x20, 2, 0, 0];

/// A running broker.
pub(super) struct Mosquitto {
    pub(super) process: Running,
    door: Door,
    _folder: TempDir,
}

pub(super) fn is_installed() -> bool {
    program().is_some()
}

fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let in_path = env::split_paths(&path).map(|folder| folder.join("mosquitto"));
    in_path.chain([OF_DEBIAN.into()]).find(|program| program.is_file())
}

impl Mosquitto {
    pub(super) fn start(certificate: Option<&Certificate>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let addr = free_port()?;
        let settings = folder.path().join("mosquitto.conf");
        fs::write(&settings, configuration(folder.path(), addr, certificate))?;
        let process = run(&settings)?;
        let door = Door { addr, tls: certificate.map(|certificate| certificate.believed.clone()) };
        Ok(Self { process, door, _folder: folder })
    }

    /// A client that is connected and has subscribed to nothing.
    pub(super) async fn connect(&self, number: u32) -> anyhow::Result<Socket> {
        let mut socket = Socket::connect_by(&self.door, number, "/mqtt", "mqtt").await?;
        let answer = socket.ask_bytes(hello(&format!("{number:08}"))).await?;
        anyhow::ensure!(*answer == ACCEPTED, "mosquitto answered {answer:?}");
        Ok(socket)
    }
}

/// It takes no port 0, and none that a connection has lately had: those before it have had most of the ports that the
/// kernel gives out.
fn free_port() -> anyhow::Result<SocketAddr> {
    let mut below = 20_000..30_000_u16;
    let free = below.find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok());
    Ok(free.context("no port is free")?.local_addr()?)
}

/// Starts it; it listens when this returns.
fn run(settings: &Path) -> anyhow::Result<Running> {
    let mut command = Command::new(program().context("mosquitto is not installed")?);
    // It logs to standard error.
    let (process, output) = Running::start_saying(command.arg("-c").arg(settings).stdout(Stdio::null()))?;
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let running = lines.find(|line| line.ends_with(" running"));
    running.context("mosquitto did not start")?;
    // Somebody has to read on: it says each connection.
    std::thread::spawn(move || lines.for_each(drop));
    Ok(process)
}

/// The listener on a Unix socket is nobody's: 2.0.11 does not start with WebSocket alone.
fn configuration(folder: &Path, addr: SocketAddr, certificate: Option<&Certificate>) -> String {
    let tls = certificate.map_or_else(String::new, |made| {
        format!("certfile {}\nkeyfile {}\n", made.certificate().display(), made.key().display())
    });
    let (port, ip, socket) = (addr.port(), addr.ip(), folder.join("unused").display().to_string());
    format!(
        "log_dest stderr\nlog_type information\nlog_type error\nconnection_messages false\npersistence false\nuser root\n\
         allow_anonymous true\nlistener 0 {socket}\nlistener {port} {ip}\nprotocol websockets\n\
         max_connections -1\n{tls}"
    )
}

/// `CONNECT` with a clean session and no keep-alive (MQTT 3.1.1 §3.1).
fn hello(client: &str) -> Vec<u8> {
    const HEADER: [u8; 10] = [0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0];
    let id = u8::try_from(client.len()).unwrap_or_default();
    let length = u8::try_from(HEADER.len()).unwrap_or_default() + 2 + id;
    let mut packet = vec![0x10, length];
    packet.extend(HEADER);
    packet.extend([0, id]);
    packet.extend(client.as_bytes());
    packet
}

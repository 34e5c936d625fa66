//! A cluster of NATS servers for one test: three processes that end with it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// The servers of one cluster.
pub(crate) struct Cluster {
    servers: Vec<Server>,
    _folder: tempfile::TempDir,
}

/// One server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    client_port: u16,
    cluster_port: u16,
}

/// How often a server that starts is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// The way that leads to any of them.
const LOOPBACK: &str = "127.0.0.1";

impl Cluster {
    /// Three servers; `Err` says why there are none.
    pub(crate) fn start() -> Result<Self, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut servers = Vec::<Server>::new();
        for _ in 0..3 {
            let others: Vec<u16> = servers.iter().map(|server| server.cluster_port).collect();
            servers.push(Server::start(folder.path(), &others)?);
        }
        Ok(Self { servers, _folder: folder })
    }

    /// All of them, in the words of the settings.
    pub(crate) fn url(&self) -> String {
        self.servers.iter().map(Server::url).collect::<Vec<_>>().join(",")
    }

    /// One of them.
    pub(crate) fn server(&self, number: usize) -> &Server {
        &self.servers[number]
    }

    /// Kills one of them: no chance to say goodbye.
    pub(crate) fn kill(&mut self, number: usize) {
        drop(self.servers.remove(number));
    }
}

impl Server {
    /// Starts one that knows these others.
    fn start(folder: &Path, others: &[u16]) -> Result<Self, String> {
        let routes: Vec<_> = others.iter().map(|port| format!("nats://{LOOPBACK}:{port}")).collect();
        // It dies with whoever started it, however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "nats-server", "--addr", LOOPBACK, "--port", "-1"]);
        command.args(["--cluster_name", "test", "--cluster", &format!("nats://{LOOPBACK}:-1")]);
        command.args(["--routes", &routes.join(","), "--ports_file_dir"]).arg(folder);
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let missing =
            |error: io::Error| format!("NATS is not installed (Debian package nats-server): {error}");
        which("nats-server").map_err(missing)?;
        let child = quiet.spawn().map_err(missing)?;
        let file = folder.join(format!("nats-server_{}.ports", child.id()));
        let (client_port, cluster_port) = loop {
            if let Some(ports) = ports(&file) {
                break ports;
            }
            thread::sleep(LOOK);
        };
        Ok(Self { child, client_port, cluster_port })
    }

    /// Where clients reach it.
    pub(crate) fn url(&self) -> String {
        format!("nats://{LOOPBACK}:{}", self.client_port)
    }

    /// Stops it without a word: its connections stay open and nothing answers.
    pub(crate) fn freeze(&self) {
        kill_process(self.id(), Signal::STOP).unwrap();
    }

    fn id(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn which(program: &str) -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).map(|folder| folder.join(program));
    folders.find(|file| file.exists()).ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Ports for clients and for the cluster, as the server wrote them down; none until it has.
fn ports(file: &Path) -> Option<(u16, u16)> {
    let text = fs::read_to_string(file).ok()?;
    let port_of = |kind: &str| {
        let urls = text.split_once(&format!("\"{kind}\""))?.1;
        let port = urls.split_once(&format!("{LOOPBACK}:"))?.1;
        port.split(|it: char| !it.is_ascii_digit()).next()?.parse().ok()
    };
    Some((port_of("nats")?, port_of("cluster")?))
}

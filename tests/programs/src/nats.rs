//! A cluster of NATS servers for one test: three processes that end with it.

use std::{
    env,
    io::{BufRead as _, BufReader, Lines},
    process::{Child, ChildStderr, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

/// The servers of one cluster.
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<Server>,
}

/// One server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// What it says: a server that nobody listens to ends.
    _said: Lines<BufReader<ChildStderr>>,
    client_port: u16,
    cluster_port: u16,
}

/// The way that leads to any of them.
const LOOPBACK: &str = "127.0.0.1";

impl Cluster {
    /// Three servers; `Err` says why there are none.
    pub fn start() -> Result<Self, String> {
        if !is_installed("nats-server") {
            return Err("NATS is not installed (Debian package nats-server)".to_owned());
        }
        let mut servers = Vec::<Server>::new();
        for _ in 0..3 {
            let others: Vec<u16> = servers.iter().map(|server| server.cluster_port).collect();
            servers.push(Server::start(&others));
        }
        Ok(Self { servers })
    }

    /// All of them, in the words of the settings.
    pub fn url(&self) -> String {
        self.servers.iter().map(Server::url).collect::<Vec<_>>().join(",")
    }

    /// One of them.
    pub fn server(&self, number: usize) -> &Server {
        &self.servers[number]
    }

    /// Kills one of them: no chance to say goodbye.
    pub fn kill(&mut self, number: usize) {
        drop(self.servers.remove(number));
    }
}

impl Server {
    /// Starts one that knows these others; it listens when this returns.
    fn start(others: &[u16]) -> Self {
        let routes: Vec<_> = others.iter().map(|port| format!("nats://{LOOPBACK}:{port}")).collect();
        // It dies with whoever started it, however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "nats-server", "--addr", LOOPBACK, "--port", "-1"]);
        command.args(["--cluster_name", "test", "--cluster", &format!("nats://{LOOPBACK}:-1")]);
        command.args(["--routes", &routes.join(",")]);
        let spoken = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = spoken.spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let client_port = port(&mut said, "Listening for client connections on ");
        let cluster_port = port(&mut said, "Listening for route connections on ");
        Self { child, _said: said, client_port, cluster_port }
    }

    /// Where clients reach it.
    pub fn url(&self) -> String {
        format!("nats://{LOOPBACK}:{}", self.client_port)
    }

    /// Stops it without a word: its connections stay open and nothing answers.
    pub fn freeze(&self) {
        kill_process(self.id(), Signal::STOP).unwrap();
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        kill_process(self.id(), Signal::CONT).unwrap();
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

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).exists())
}

/// The port that the server says in these words; waits until it does.
fn port(said: &mut Lines<BufReader<ChildStderr>>, words: &str) -> u16 {
    let port = |line: String| line.split_once(words)?.1.rsplit(':').next()?.parse().ok();
    said.map_while(Result::ok).find_map(port).unwrap()
}

//! A load balancer for one client: connections go to whichever server it is pointed at, and break when told.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// The balancer; its connections end with it.
#[derive(Debug)]
pub struct Front {
    /// Where a client connects.
    pub addr: SocketAddr,
    /// Where new connections go.
    behind: watch::Sender<SocketAddr>,
    /// Counts how often those that are open were cut.
    cuts: watch::Sender<u64>,
    losing: Arc<AtomicBool>,
    _serving: AbortOnDropHandle<()>,
}

impl Front {
    /// Stands before this server.
    pub async fn of(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let ((behind, pointed), (cuts, cut)) = (watch::channel(server), watch::channel(0));
        let losing = Arc::new(AtomicBool::new(false));
        let serving = serve(listener, pointed, (cut, Arc::clone(&losing)));
        let serving = AbortOnDropHandle::new(TaskTracker::new().spawn(serving));
        Ok(Self { addr, behind, cuts, losing, _serving: serving })
    }

    /// The next answer of a server does not arrive: its connection breaks.
    pub fn lose_next_answer(&self) {
        self.losing.store(true, Ordering::SeqCst);
    }

    /// Whether that has happened.
    pub fn has_lost(&self) -> bool {
        !self.losing.load(Ordering::SeqCst)
    }

    /// New connections go to another server, as when a balancer finds that one takes nothing new.
    pub fn prefer(&self, server: SocketAddr) {
        self.behind.send_replace(server);
    }

    /// The same, and connections that are open are cut, as when a balancer finds a server dead.
    pub fn point_at(&self, server: SocketAddr) {
        self.prefer(server);
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

/// What breaks connections: those that are open, or the next one on which a server answers.
type Breaks = (watch::Receiver<u64>, Arc<AtomicBool>);

async fn serve(listener: TcpListener, pointed: watch::Receiver<SocketAddr>, (cut, losing): Breaks) {
    let connections = TaskTracker::new();
    let mut open = Vec::new();
    while let Ok((client, _)) = listener.accept().await {
        // Marked first: a cut after that meets this connection, wherever it leads.
        let mut cut = cut.clone();
        cut.mark_unchanged();
        let server = *pointed.borrow();
        open.push(AbortOnDropHandle::new(connections.spawn(forward(
            client,
            server,
            (cut, Arc::clone(&losing)),
        ))));
    }
}

/// However it ends, the client notices.
async fn forward(client: TcpStream, server: SocketAddr, (mut cut, losing): Breaks) {
    let forwarding = async {
        let server = TcpStream::connect(server).await?;
        let ((mut heard, told), (words, mut asked)) = (client.into_split(), server.into_split());
        let asking = async {
            copy(&mut heard, &mut asked).await?;
            asked.shutdown().await
        };
        tokio::try_join!(asking, pass_on(words, told, &losing))
    };
    tokio::select! {
        _ended = forwarding => {}
        _cut = cut.changed() => {}
    }
}

/// What the server says, until something is to be lost.
async fn pass_on(mut words: OwnedReadHalf, mut told: OwnedWriteHalf, losing: &AtomicBool) -> io::Result<()> {
    let mut buffer = vec![0; 8_192];
    loop {
        let length = words.read(&mut buffer).await?;
        if length == 0 {
            return told.shutdown().await;
        }
        let said = buffer.get(..length).unwrap_or_default();
        if is_answer(said) && losing.swap(false, Ordering::SeqCst) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        told.write_all(said).await?;
    }
}

/// Whether an answer is in it: what a server says is masked by nothing (RFC 6455 §5.1).
fn is_answer(said: &[u8]) -> bool {
    said.windows(ANSWER.len()).any(|part| part == ANSWER)
}

/// As it begins, whatever came before it in the same read.
const ANSWER: &[u8] = br#"{"type":"answer""#;

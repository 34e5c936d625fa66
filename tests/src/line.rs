//! The line between a server and its PostgreSQL, which a test interrupts: others use the same PostgreSQL meanwhile.

use std::{net::Ipv4Addr, path::PathBuf, pin::pin};

use anyhow::{Context as _, Result};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// The line; it ends with this.
#[derive(Debug)]
pub struct Line {
    /// The database, at the server's end.
    pub url: String,
    state: watch::Sender<State>,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Frozen,
    Cut,
}

impl Line {
    /// To this database, which is at a Unix socket (`postgres://user@localhost/name?host=/folder`).
    pub async fn to(database: &str) -> Result<Self> {
        let (place, folder) = database.split_once("?host=").context("no folder of a socket")?;
        let (_, name) = place.rsplit_once('/').context("no name")?;
        let user = place.split_once("://").and_then(|(_, rest)| rest.split_once('@')).context("no user")?.0;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("postgres://{user}@{}/{name}?sslmode=disable", listener.local_addr()?);
        let (state, watched) = watch::channel(State::Open);
        let serving = serve(listener, PathBuf::from(folder).join(".s.PGSQL.5432"), watched);
        Ok(Self { url, state, _serving: AbortOnDropHandle::new(TaskTracker::new().spawn(serving)) })
    }

    /// From now on nothing passes, and nobody is told: as when the database's machine stands still.
    pub fn freeze(&self) {
        self.state.send_replace(State::Frozen);
    }

    /// Breaks every connection, and takes none: as when the database is dead.
    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// The database is back.
    pub fn mend(&self) {
        self.state.send_replace(State::Open);
    }
}

async fn serve(listener: TcpListener, socket: PathBuf, state: watch::Receiver<State>) {
    let connections = TaskTracker::new();
    let mut open = Vec::new();
    while let Ok((client, _)) = listener.accept().await {
        let forwarding = connections.spawn(forward(client, socket.clone(), state.clone()));
        open.push(AbortOnDropHandle::new(forwarding));
    }
}

async fn forward(mut client: TcpStream, socket: PathBuf, mut state: watch::Receiver<State>) {
    let Ok(mut server) = UnixStream::connect(socket).await else { return };
    let mut copying = pin!(copy_bidirectional(&mut client, &mut server));
    loop {
        let is = *state.borrow_and_update();
        let changed = match is {
            State::Cut => return,
            State::Frozen => state.changed().await,
            State::Open => tokio::select! {
                biased;
                changed = state.changed() => changed,
                _ended = copying.as_mut() => return,
            },
        };
        if changed.is_err() {
            return;
        }
    }
}

//! A load balancer for one client: connections go to whichever server it is pointed at.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
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
    _serving: AbortOnDropHandle<()>,
}

impl Front {
    /// Stands before this server.
    pub async fn of(server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let ((behind, pointed), (cuts, cut)) = (watch::channel(server), watch::channel(0));
        let serving = AbortOnDropHandle::new(TaskTracker::new().spawn(serve(listener, pointed, cut)));
        Ok(Self { addr, behind, cuts, _serving: serving })
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

async fn serve(listener: TcpListener, pointed: watch::Receiver<SocketAddr>, cut: watch::Receiver<u64>) {
    let connections = TaskTracker::new();
    let mut open = Vec::new();
    while let Ok((client, _)) = listener.accept().await {
        let server = *pointed.borrow();
        open.push(AbortOnDropHandle::new(connections.spawn(forward(client, server, cut.clone()))));
    }
}

/// However it ends, the client notices.
async fn forward(mut client: TcpStream, server: SocketAddr, mut cut: watch::Receiver<u64>) {
    cut.mark_unchanged();
    let forwarding = async {
        let mut server = TcpStream::connect(server).await?;
        copy_bidirectional(&mut client, &mut server).await
    };
    tokio::select! {
        _ended = forwarding => {}
        _cut = cut.changed() => {}
    }
}

//! Many sockets that look like one: the first at which the peer is heard is the one that its address is reached by.

use core::{
    net::SocketAddr,
    task::{Context, Poll},
};
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use tokio::io::ReadBuf;

use crate::network::{DatagramSocket, Network};

/// See the module.
#[derive(Debug)]
pub(in crate::call) struct Fan {
    main: Arc<dyn DatagramSocket>,
    /// Where the others lead.
    towards: SocketAddr,
    chosen: OnceLock<Arc<dyn DatagramSocket>>,
    others: Mutex<Others>,
}

#[derive(Debug, Default)]
struct Others {
    open: Vec<Arc<dyn DatagramSocket>>,
    /// The one at which something came in last.
    last: Option<Arc<dyn DatagramSocket>>,
    is_over: bool,
}

impl Fan {
    pub(super) fn new(main: Arc<dyn DatagramSocket>, towards: SocketAddr) -> Self {
        Self { main, towards, chosen: OnceLock::new(), others: Mutex::default() }
    }

    /// Opens one more, by sending this from it.
    pub(super) fn open(&self, network: &dyn Network, datagram: &[u8]) -> io::Result<()> {
        let mut others = self.others();
        if others.is_over {
            return Ok(());
        }
        let socket = network.bind()?;
        socket.send_to(datagram, self.towards)?;
        others.open.push(socket);
        drop(others);
        Ok(())
    }

    /// What came in last was the peer's: from here on that socket leads to it. Only the first counts: the peer, too,
    /// settles on what answers.
    ///
    /// What came in at the main one settles nothing: a NAT that is open to everybody lets in questions there, whose
    /// answers need not get out to where they came from.
    pub(super) fn settle(&self) {
        let mut others = self.others();
        let Some(last) = others.last.take().filter(|_| !others.is_over) else { return };
        // Unset before: this is done once.
        _ = self.chosen.set(last);
        *others = Others { is_over: true, ..Others::default() };
    }

    /// No more of them are wanted.
    pub(super) fn close(&self) {
        *self.others() = Others { is_over: true, ..Others::default() };
    }

    /// What came in at one of them, and at which.
    fn poll_others(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Option<(Arc<dyn DatagramSocket>, SocketAddr)> {
        self.others().open.iter().find_map(|socket| match socket.poll_recv_from(cx, buffer) {
            Poll::Ready(Ok(from)) => Some((Arc::clone(socket), from)),
            Poll::Ready(Err(_)) | Poll::Pending => None,
        })
    }

    fn others(&self) -> MutexGuard<'_, Others> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DatagramSocket for Fan {
    fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        let chosen = self.chosen.get().filter(|_| to == self.towards);
        chosen.unwrap_or(&self.main).send_to(datagram, to)
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<SocketAddr>> {
        if let Some(chosen) = self.chosen.get()
            && let ready @ Poll::Ready(_) = chosen.poll_recv_from(cx, buffer)
        {
            return ready;
        }
        let of_main = self.main.poll_recv_from(cx, buffer);
        let heard = if of_main.is_ready() { None } else { self.poll_others(cx, buffer) };
        let of_others = heard.as_ref().map(|(_, from)| Poll::Ready(Ok(*from)));
        // None stands for the main one.
        self.others().last = heard.map(|(socket, _)| socket);
        of_others.unwrap_or(of_main)
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.main.local_addr()
    }

    fn host_addresses(&self) -> Vec<SocketAddr> {
        self.main.host_addresses()
    }
}

#[cfg(test)]
mod tests {
    use core::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::network::{SystemNetwork, testing::received};

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn the_first_socket_at_which_the_peer_is_heard_leads_to_it_and_the_others_are_closed() {
        let network = SystemNetwork::on(LOOPBACK);
        let (peer, stranger) = (network.bind().unwrap(), network.bind().unwrap());
        let fan = Fan::new(network.bind().unwrap(), peer.local_addr().unwrap());
        let mut opened = Vec::new();
        for _ in 0..3 {
            fan.open(&network, b"open").unwrap();
            opened.push(received(&*peer).await.1);
        }
        assert!(!opened.contains(&fan.local_addr().unwrap()));

        peer.send_to(b"found", opened[1]).unwrap();
        assert_eq!(received(&fan).await, (b"found".to_vec(), peer.local_addr().unwrap()));
        fan.settle();
        fan.send_to(b"answer", peer.local_addr().unwrap()).unwrap();
        assert_eq!(received(&*peer).await, (b"answer".to_vec(), opened[1]));
        fan.send_to(b"elsewhere", stranger.local_addr().unwrap()).unwrap();
        assert_eq!(received(&*stranger).await.1, fan.local_addr().unwrap());
        assert!(fan.others().open.is_empty());
        fan.open(&network, b"open").unwrap();
        assert!(fan.others().open.is_empty(), "nor is another opened");
    }

    #[tokio::test]
    async fn what_comes_in_at_the_main_socket_does_not_keep_another_from_being_found() {
        let network = SystemNetwork::on(LOOPBACK);
        let peer = network.bind().unwrap();
        let towards = peer.local_addr().unwrap();
        let fan = Fan::new(network.bind().unwrap(), towards);
        fan.open(&network, b"open").unwrap();
        let opened = received(&*peer).await.1;
        peer.send_to(b"question", fan.local_addr().unwrap()).unwrap();
        received(&fan).await;
        fan.settle();
        fan.send_to(b"answer", towards).unwrap();
        assert_eq!(received(&*peer).await.1, fan.local_addr().unwrap());

        peer.send_to(b"found", opened).unwrap();
        received(&fan).await;
        fan.settle();
        fan.send_to(b"answer", towards).unwrap();
        assert_eq!(received(&*peer).await.1, opened);
    }
}

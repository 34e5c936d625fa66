//! Moves between paths while a call runs (NAT-5): nothing is lost by one, and the call follows the network.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};

use switchhook_client::network::{Connecting, DatagramSocket, SystemNetwork};
use switchhook_protocol::{
    connection_data::Candidate,
    exchange::PeerElsewhere,
    peer::Guessing,
    session::{Change, Renewed, SessionChanged},
};
use tokio::{io::ReadBuf, time::MissedTickBehavior};

use super::*;

/// NAT-5
#[tokio::test(flavor = "multi_thread")]
async fn nat_5_in_a_hundred_moves_from_the_relay_to_a_direct_path_no_datagram_is_lost() {
    let (host, (server, addr)) = (FakeHost::start().await.unwrap(), relay().await);
    for _ in 0..20 {
        let mut moves = JoinSet::new();
        for _ in 0..5 {
            let talk = Box::pin(Talk::start(&host, addr, [lan(), lan()], false)).await;
            moves.spawn(async move { talk.moves_to_direct().await });
        }
        while let Some(late) = moves.join_next().await {
            let late = late.unwrap();
            assert!(late <= 20, "{late} datagrams came late");
        }
    }
    server.close().await.unwrap();
}

/// NAT-5
#[tokio::test(flavor = "multi_thread")]
async fn nat_5_a_direct_path_that_is_cut_is_replaced_by_the_relay_and_taken_again_when_it_is_mended() {
    let (host, (server, addr)) = (FakeHost::start().await.unwrap(), relay().await);
    let network = Arc::new(Moody::default());
    let own: Arc<dyn Network> = network.clone();
    let mut talk = Box::pin(Talk::start(&host, addr, [own, lan()], true)).await;
    assert_eq!(talk.paths(), [Some(PathKind::Direct); 2]);

    network.is_cut.store(true, Ordering::Relaxed);
    talk.until_both_take(PathKind::Relay).await;
    talk.carries().await;
    network.is_cut.store(false, Ordering::Relaxed);
    talk.until_both_take(PathKind::Direct).await;
    talk.carries().await;
    while let Ok(operation) = talk.heard.try_recv() {
        if let Operation::ConnectionDataChanged(said) = operation {
            assert!(
                !said.connection_data.observed.is_empty(),
                "who sees nothing of itself says nothing of itself"
            );
        }
    }
    server.close().await.unwrap();
}

/// NAT-5
#[tokio::test(flavor = "multi_thread")]
async fn nat_5_a_device_that_gets_another_address_says_so_to_the_host_and_goes_on() {
    let (host, (server, addr)) = (FakeHost::start().await.unwrap(), relay().await);
    let network = Arc::new(Moody::default());
    let own: Arc<dyn Network> = network.clone();
    let mut talk = Box::pin(Talk::start(&host, addr, [own, lan()], true)).await;
    talk.carries().await;

    network.has_another_address.store(true, Ordering::Relaxed);

    let said = loop {
        let operation = soon(talk.heard.recv()).await.unwrap();
        if let Operation::ConnectionDataChanged(said) = operation {
            break said;
        }
    };
    assert_eq!(said.connection_data.observed.len(), 2, "CDX was asked again");
    assert_eq!(said.connection_data.claimed.host_candidates[0].address, another_address());
    talk.carries().await;
    assert_eq!(talk.paths(), [Some(PathKind::Direct); 2]);
    server.close().await.unwrap();
}

/// INV-11
#[tokio::test(flavor = "multi_thread")]
async fn inv_11_after_somebody_has_left_the_call_goes_on_with_its_new_ticket() {
    let (host, (server, addr)) = (FakeHost::start().await.unwrap(), relay().await);
    let network = Arc::new(Moody::default());
    let own: Arc<dyn Network> = network.clone();
    let mut talk = Box::pin(Talk::start(&host, addr, [own, lan()], true)).await;
    for tell in &talk.tell {
        let renewed = Renewed {
            ticket: "renewed".to_owned(),
            towards: "+15550100".parse().unwrap(),
            media_key: "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE".to_owned(),
        };
        let change = Change::Left { reason: "hung-up".to_owned(), renewed: Some(renewed) };
        let (session, by) = ("s1".parse().unwrap(), "+15550102".parse().unwrap());
        tell.send(Event::SessionUpdate(SessionChanged { session, by, change, running_ms: 1 })).await.unwrap();
    }

    network.is_cut.store(true, Ordering::Relaxed);
    talk.until_both_take(PathKind::Relay).await;

    talk.carries().await;
    let asked = core::iter::from_fn(|| talk.heard.try_recv().ok()).find_map(|operation| {
        let Operation::RelayRequest(request) = operation else { return None };
        Some(request.ticket)
    });
    assert_eq!(asked.as_deref(), Some("renewed"));
    server.close().await.unwrap();
}

/// A call between two devices of one network, and what else their host has to tell them.
struct Talk {
    calls: [Call; 2],
    candidates: [Vec<Candidate>; 2],
    tell: [mpsc::Sender<Event>; 2],
    heard: mpsc::Receiver<Operation>,
    _clients: [(Client, Events); 2],
    _serving: JoinSet<()>,
}

impl Talk {
    /// Directly, or through the relay after a direct try that could not succeed.
    async fn start(
        host: &FakeHost,
        relay: SocketAddr,
        networks: [Arc<dyn Network>; 2],
        direct: bool,
    ) -> Self {
        let (to_one, for_one) = mpsc::channel(8);
        let (to_two, for_two) = mpsc::channel(8);
        let (said, heard) = mpsc::channel(SAID);
        let mut serving = JoinSet::new();
        let [of_one, of_two] = networks;
        let (one, connection) = device_in(host, of_one).await;
        serving.spawn(serve(connection, relay, to_two.clone(), for_one, said.clone()));
        let (two, connection) = device_in(host, of_two).await;
        serving.spawn(serve(connection, relay, to_one.clone(), for_two, said));
        let candidates =
            [&one, &two].map(|device| device.prepared.connection_data().claimed.host_candidates.clone());
        let [own, peers] = &candidates;
        let known = |candidates: &[Candidate]| if direct { candidates.to_vec() } else { Vec::new() };
        // Without an address the callee soon asks for the relay.
        let paths = [(peers, if direct { 1_500 } else { 20_000 }), (own, if direct { 1_500 } else { 100 })];
        let paths = paths.map(|(candidates, patience)| Path::Direct {
            candidates: known(candidates),
            patience_ms: Some(patience),
            exchange: None,
            guessing: Guessing::default(),
        });
        let (calls, clients) = Box::pin(start([one, two], paths)).await;
        Self { calls, candidates, tell: [to_one, to_two], heard, _clients: clients, _serving: serving }
    }

    fn paths(&self) -> [Option<PathKind>; 2] {
        self.calls.each_ref().map(Call::path)
    }

    async fn until_both_take(&self, path: PathKind) {
        let taken = |in_use: Option<(PathKind, _)>| in_use.is_some_and(|(kind, _)| kind == path);
        soon(async {
            while self.paths() != [Some(path); 2] {
                for call in &self.calls {
                    call.path_becomes(taken).await;
                }
            }
        })
        .await;
    }

    async fn carries(&mut self) {
        let [one, two] = &mut self.calls;
        carries(one, two, b"to the callee").await;
        carries(two, one, b"to the inviter").await;
    }

    /// Each side learns the other's addresses and moves, while one talks; how many datagrams came after a later
    /// one. Panics if one never came.
    async fn moves_to_direct(mut self) -> usize {
        assert_eq!(self.paths(), [Some(PathKind::Relay); 2]);
        for (tell, candidates) in self.tell.iter().zip(self.candidates.iter().rev()) {
            let (session, candidates) = ("s1".parse().unwrap(), candidates.clone());
            let told = PeerElsewhere { session, alias: "alias".into(), candidates, exchange: None };
            tell.send(Event::ConnectionData(told)).await.unwrap();
        }
        let (mut sent, mut after) = (0_u16, 0);
        // As somebody who speaks: what the machine was too slow for is not said all at once.
        let mut pace = tokio::time::interval(Duration::from_millis(10));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let talk = async {
            // Some more behind the move of both.
            while after < 20 {
                pace.tick().await;
                self.calls[0].send(&sent.to_be_bytes()).unwrap();
                sent += 1;
                after += u32::from(self.paths() == [Some(PathKind::Direct); 2]);
            }
        };
        soon(talk).await;
        let mut heard: Vec<u16> = Vec::new();
        while heard.len() < usize::from(sent) {
            let datagram = soon(self.calls[1].recv()).await.expect("the call is open");
            heard.push(u16::from_be_bytes(datagram.try_into().unwrap()));
        }
        let largest_before = heard.iter().scan(0, |largest, number| {
            *largest = (*largest).max(*number);
            Some(*largest)
        });
        heard.iter().zip(largest_before).filter(|(number, largest)| **number < *largest).count()
    }
}

fn lan() -> Arc<dyn Network> {
    Arc::new(SystemNetwork::on(LOOPBACK))
}

/// A network whose first socket can be cut off, and which can say that the device has another address.
#[derive(Debug, Default)]
struct Moody {
    is_cut: Arc<AtomicBool>,
    has_another_address: Arc<AtomicBool>,
    has_one: AtomicBool,
}

impl Network for Moody {
    fn bind(&self) -> io::Result<Arc<dyn DatagramSocket>> {
        let socket = SystemNetwork::on(LOOPBACK).bind()?;
        if self.has_one.swap(true, Ordering::Relaxed) {
            return Ok(socket);
        }
        let (is_cut, moved) = (Arc::clone(&self.is_cut), Arc::clone(&self.has_another_address));
        Ok(Arc::new(MoodySocket { socket, is_cut, moved }))
    }

    fn connect(&self, to: SocketAddr) -> Connecting {
        SystemNetwork::on(LOOPBACK).connect(to)
    }
}

#[derive(Debug)]
struct MoodySocket {
    socket: Arc<dyn DatagramSocket>,
    is_cut: Arc<AtomicBool>,
    moved: Arc<AtomicBool>,
}

/// Nobody has it; the peer's checks to it are lost.
fn another_address() -> SocketAddr {
    "127.0.0.1:9".parse().unwrap()
}

impl DatagramSocket for MoodySocket {
    fn send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        if self.is_cut.load(Ordering::Relaxed) { Ok(()) } else { self.socket.send_to(datagram, to) }
    }

    fn poll_recv_from(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<SocketAddr>> {
        let received = self.socket.poll_recv_from(cx, buffer);
        if received.is_ready() && self.is_cut.load(Ordering::Relaxed) {
            // Nothing of it can be read: as if it had never come.
            buffer.clear();
        }
        received
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr()
    }

    fn host_addresses(&self) -> Vec<SocketAddr> {
        if self.moved.load(Ordering::Relaxed) {
            vec![another_address()]
        } else {
            self.socket.host_addresses()
        }
    }
}

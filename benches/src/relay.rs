//! The relay beside coturn and beside forwarders that do nothing but forward (DESIGN §11).
//!
//! Everything is on loopback: what is measured on the first core, the generator on the last. Compared is the
//! processor time of a process for each packet, with so many in flight that it always has something to do.
//! All payloads are of 200 bytes.

mod bursts;
pub(crate) mod forwarders;
pub(crate) mod servers;
mod turn;

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use anyhow::Result;
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use switchhook_core::stun::{Writer, message_type};

use self::{
    bursts::{Basin, Bursts},
    servers::{Measured, Server},
};
use crate::{
    Options,
    clock::now,
    report::{Bound, Report},
    series::Series,
};

const FLOWS: u16 = 100;
const PAYLOAD: usize = 200;
const BURST: usize = 8;
/// Datagrams that are on their way at a time.
const IN_FLIGHT: u32 = 400;
const ROUND: Duration = Duration::from_millis(1_500);
const ALLOCATIONS: u16 = 5_000;

/// What a packet is measured at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Path {
    ToPeer,
    ToClient,
}

type Figures = BTreeMap<(Server, Path, usize), Series>;

pub(crate) fn run(options: &Options) -> Result<Report> {
    let mut report = Report::new("relay");
    on_last_core()?;
    let servers = [Server::Relay, Server::Coturn, Server::Plain, Server::Merged];
    let installed = |server: &Server| server.is_installed();
    if !Server::Coturn.is_installed() {
        report.skipped("coturn", "turnserver is not installed (Debian package coturn)");
    }
    let mut packets = Figures::new();
    let mut answers: BTreeMap<Server, Series> = BTreeMap::new();
    let mut made: BTreeMap<Server, [Series; 2]> = BTreeMap::new();
    for _ in 0..options.rounds {
        for server in servers.into_iter().filter(installed) {
            for burst in [1, BURST] {
                for (path, cost) in relayed(server, burst)? {
                    packets.entry((server, path, burst)).or_default().push(cost);
                }
            }
        }
        for server in [Server::Relay, Server::Echo] {
            answers.entry(server).or_default().push(bindings(server)?);
        }
        for server in [Server::Relay, Server::Coturn].into_iter().filter(installed) {
            let [rate, memory] = made.entry(server).or_default();
            let (of_a_second, kib) = allocations(server)?;
            rate.push(of_a_second);
            memory.push(kib);
        }
    }
    report_packets(&mut report, &packets);
    report_control(&mut report, &answers, &made);
    Ok(report)
}

fn report_packets(report: &mut Report, packets: &Figures) {
    for ((server, path, burst), series) in packets {
        let way = match path {
            Path::ToPeer => "client to peer",
            Path::ToClient => "peer to client",
        };
        report.figure(format!("{}, {way}, bursts of {burst}", server.name()), "µs a packet", series);
    }
    for (burst, yardstick, most) in [
        (1, Server::Plain, 1.2),
        (1, Server::Coturn, 0.85),
        (BURST, Server::Plain, 0.65),
        (BURST, Server::Merged, 1.25),
        (BURST, Server::Coturn, 0.5),
    ] {
        for path in [Path::ToPeer, Path::ToClient] {
            let own = packets.get(&(Server::Relay, path, burst));
            let Some((own, other)) = own.zip(packets.get(&(yardstick, path, burst))) else { continue };
            let what = format!("{path:?}, bursts of {burst}, over {}", yardstick.name());
            report.target(what, &own.over(other), Bound::AtMost(most));
        }
    }
}

fn report_control(
    report: &mut Report,
    answers: &BTreeMap<Server, Series>,
    made: &BTreeMap<Server, [Series; 2]>,
) {
    for (server, series) in answers {
        report.figure(format!("{}, Binding", server.name()), "answers a second of CPU", series);
    }
    if let (Some(own), Some(echo)) = (answers.get(&Server::Relay), answers.get(&Server::Echo)) {
        report.target("Binding answers over the echo's", &own.over(echo), Bound::AtLeast(0.85));
    }
    for (server, [rate, memory]) in made {
        report.figure(format!("{}, allocations with channel", server.name()), "a second of CPU", rate);
        report.figure(format!("{}, an allocation with channel", server.name()), "KiB", memory);
    }
    if let Some([rate, memory]) = made.get(&Server::Relay) {
        report.target("KiB of an allocation", memory, Bound::AtMost(3.0));
        if let Some([others, _]) = made.get(&Server::Coturn) {
            report.target("allocations over coturn's", &rate.over(others), Bound::AtLeast(3.0));
        }
    }
}

/// Microseconds of processor time for each packet, both ways.
fn relayed(server: Server, burst: usize) -> Result<[(Path, f64); 2]> {
    let first = forwarders::free_ports(FLOWS)?;
    let clients = (0..FLOWS).map(|flow| Bursts::bind(first + flow)).collect::<Result<Vec<_>>>()?;
    let peer = Bursts::bind(0)?;
    let peer_port = peer.socket.local_addr()?.port();
    let mut measured = server.start(FLOWS, first, peer_port)?;
    if measured.relayed.is_empty() {
        for client in &clients {
            let Measured { addr, credentials, .. } = &measured;
            measured.relayed.push(turn::allocate(&client.socket, *addr, peer_port, credentials)?);
        }
    }
    let (plain, framed) =
        (vec![0; PAYLOAD * burst], [&[0x40, 0, 0, 200][..], &[0; PAYLOAD]].concat().repeat(burst));
    let to_peer = cost(&measured, |basin, sent| {
        for client in &clients {
            client.send(measured.addr, &framed, PAYLOAD + 4)?;
            sent.add(burst)?;
            while sent.is_enough() {
                sent.got(peer.receive(basin, |_, _, _| Ok(()))?);
            }
        }
        Ok(())
    })?;
    let to_client = cost(&measured, |basin, sent| {
        for (relayed, client) in measured.relayed.iter().zip(&clients) {
            peer.send(*relayed, &plain, PAYLOAD)?;
            sent.add(burst)?;
            sent.got(client.receive(basin, |_, _, _| Ok(()))?);
        }
        let mut others = clients.iter().cycle();
        while sent.is_enough() {
            let Some(client) = others.next() else { break };
            sent.got(client.receive(basin, |_, _, _| Ok(()))?);
        }
        Ok(())
    })?;
    Ok([(Path::ToPeer, to_peer), (Path::ToClient, to_client)])
}

/// Answers for each second of processor time.
fn bindings(server: Server) -> Result<f64> {
    let measured = server.start(0, 0, 0)?;
    let clients = (0..64).map(|_| Bursts::bind(0)).collect::<Result<Vec<_>>>()?;
    let requests = binding().repeat(BURST);
    let size = requests.len() / BURST;
    let micros = cost(&measured, |basin, sent| {
        for client in &clients {
            // One by one, so that the yardstick gets what the relay gets.
            for request in requests.chunks(size) {
                client.send(measured.addr, request, size)?;
            }
            sent.add(BURST)?;
            sent.got(client.receive(basin, |_, _, _| Ok(()))?);
        }
        let mut others = clients.iter().cycle();
        while sent.is_enough() {
            let Some(client) = others.next() else { break };
            sent.got(client.receive(basin, |_, _, _| Ok(()))?);
        }
        Ok(())
    })?;
    Ok(1e6 / micros)
}

/// Allocations with a channel for each second of processor time, and KiB of each.
fn allocations(server: Server) -> Result<(f64, f64)> {
    let measured = server.start(0, 0, 0)?;
    let peer = Bursts::bind(0)?.socket.local_addr()?.port();
    let sockets = (0..ALLOCATIONS)
        .map(|_| Ok(std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?))
        .collect::<Result<Vec<_>>>()?;
    let (memory, time) = (measured.process.memory()?, measured.process.time_on_cores()?);
    for socket in &sockets {
        turn::allocate(socket, measured.addr, peer, &measured.credentials)?;
    }
    let spent = measured.process.time_on_cores()?.saturating_sub(time);
    let kib = measured.process.memory()? - memory;
    let count = f64::from(ALLOCATIONS);
    Ok((count / spent.as_secs_f64(), kib / count))
}

/// What was sent and what arrived.
#[derive(Debug, Default)]
struct Sent {
    in_flight: u32,
    arrived: u64,
    silent_since: Option<Instant>,
}

impl Sent {
    fn add(&mut self, datagrams: usize) -> Result<()> {
        self.in_flight += u32::try_from(datagrams)?;
        Ok(())
    }

    fn got(&mut self, datagrams: u32) {
        self.arrived += u64::from(datagrams);
        self.in_flight = self.in_flight.saturating_sub(datagrams);
        if datagrams > 0 {
            self.silent_since = None;
        }
    }

    /// Whether some should arrive before more are sent; what has not come after a while is lost.
    fn is_enough(&mut self) -> bool {
        const LOST: Duration = Duration::from_millis(20);
        if self.in_flight <= IN_FLIGHT {
            return false;
        }
        if self.silent_since.get_or_insert_with(now).elapsed() > LOST {
            (self.in_flight, self.silent_since) = (0, None);
            return false;
        }
        true
    }
}

/// Microseconds of processor time of a process for each datagram that arrives, after a start.
fn cost(measured: &Measured, mut round: impl FnMut(&mut Basin, &mut Sent) -> Result<()>) -> Result<f64> {
    let (mut basin, mut sent) = (Basin::new(), Sent::default());
    let mut until = |end: Instant, sent: &mut Sent| -> Result<()> {
        while now() < end {
            round(&mut basin, sent)?;
        }
        Ok(())
    };
    until(now() + ROUND / 5, &mut sent)?;
    let (arrived, time) = (sent.arrived, measured.process.time_on_cores()?);
    until(now() + ROUND, &mut sent)?;
    let spent = measured.process.time_on_cores()?.saturating_sub(time);
    let packets = u32::try_from(sent.arrived - arrived)?;
    Ok(spent.as_secs_f64() * 1e6 / f64::from(packets))
}

/// A request that anybody may ask.
fn binding() -> Vec<u8> {
    let mut out = Vec::new();
    Writer::new(&mut out, message_type::BINDING_REQUEST, [7; 12]);
    out
}

fn on_last_core() -> Result<()> {
    let last = std::thread::available_parallelism()?.get() - 1;
    let mut cores = CpuSet::new();
    cores.set(last)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &cores)?)
}

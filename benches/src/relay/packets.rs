//! What a packet costs: the processor time of a process, with so many packets in flight that it always has
//! something to do.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{
    FLOWS, PAYLOAD, binding,
    bursts::{Basin, Bursts},
    forwarders,
    line::Line,
    servers::{Clients, Measured, Server},
    turn,
};
use crate::clock::now;

pub(super) const BURST: usize = 8;
/// Datagrams that are on their way at a time.
const IN_FLIGHT: u32 = 400;
const ROUND: Duration = Duration::from_millis(1_500);

/// What a packet is measured at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Path {
    ToPeer,
    ToClient,
}

/// Microseconds of processor time for each packet, both ways.
pub(super) fn relayed(line: &Line, server: Server, burst: usize) -> Result<[(Path, f64); 2]> {
    let ip = line.own_ip();
    let first = forwarders::free_ports(ip, FLOWS)?;
    let clients = (0..FLOWS).map(|flow| Bursts::bind(ip, first + flow)).collect::<Result<Vec<_>>>()?;
    let peer = Bursts::bind(ip, 0)?;
    let peer_addr = peer.socket.local_addr()?;
    let mut measured = server.start(line, Clients { flows: FLOWS, first, peer: peer_addr.port() })?;
    if measured.relayed.is_empty() {
        for client in &clients {
            let Measured { addr, credentials, .. } = &measured;
            let made = turn::allocate(&[&client.socket], *addr, peer_addr, credentials)?;
            measured.relayed.extend(made);
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
        drain(&clients, basin, sent)
    })?;
    Ok([(Path::ToPeer, to_peer), (Path::ToClient, to_client)])
}

/// Answers for each second of processor time.
pub(super) fn bindings(line: &Line, server: Server) -> Result<f64> {
    let measured = server.start(line, Clients::UNKNOWN)?;
    let clients = (0..64).map(|_| Bursts::bind(line.own_ip(), 0)).collect::<Result<Vec<_>>>()?;
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
        drain(&clients, basin, sent)
    })?;
    Ok(1e6 / micros)
}

/// Receives until few enough are on their way.
fn drain(clients: &[Bursts], basin: &mut Basin, sent: &mut Sent) -> Result<()> {
    let mut others = clients.iter().cycle();
    while sent.is_enough() {
        let Some(client) = others.next() else { break };
        sent.got(client.receive(basin, |_, _, _| Ok(()))?);
    }
    Ok(())
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

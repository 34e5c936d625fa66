//! The relay beside coturn and beside forwarders that do nothing but forward (DESIGN §11).
//!
//! What is measured runs on the first core, the generator on the last, each in a network namespace of its own; where these
//! are not allowed, both on loopback. All payloads are of 200 bytes. What is compared takes turns, in another order each
//! round.

mod bursts;
mod control;
pub(crate) mod forwarders;
mod latency;
mod line;
mod packets;
pub(crate) mod servers;
mod turn;

use std::collections::BTreeMap;

use anyhow::Result;
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use switchhook_core::stun::{Writer, message_type};

use self::{
    control::Made,
    latency::Added,
    line::Line,
    packets::{BURST, Path},
    servers::Server,
};
use crate::{
    Options,
    report::{Bound, Report},
    series::Series,
};

const FLOWS: u16 = 100;
const PAYLOAD: usize = 200;

/// What is measured in each round.
#[derive(Debug, Default)]
struct Figures {
    packets: BTreeMap<(Server, Path, usize), Series>,
    answers: BTreeMap<Server, Series>,
    made: BTreeMap<Server, Made>,
    added: BTreeMap<Server, Added>,
}

pub(crate) fn run(options: &Options) -> Result<Report> {
    let mut report = Report::new("relay");
    on_last_core()?;
    if !Server::Coturn.is_installed() {
        report.skipped("coturn", "turnserver is not installed (Debian package coturn)");
    }
    let figures = Line::lay(&mut report, |line| {
        let mut figures = Figures::default();
        for round in 0..options.rounds {
            figures.measure(line, usize::try_from(round)?)?;
        }
        Ok(figures)
    })?;
    figures.report_packets(&mut report);
    figures.report_control(&mut report);
    figures.report_latency(&mut report);
    Ok(report)
}

impl Figures {
    fn measure(&mut self, line: &Line, round: usize) -> Result<()> {
        for burst in [1, BURST] {
            for server in in_turn([Server::Relay, Server::Coturn, Server::Plain, Server::Merged], round) {
                for (path, cost) in packets::relayed(line, server, burst)? {
                    self.packets.entry((server, path, burst)).or_default().push(cost);
                }
            }
        }
        for server in in_turn([Server::Relay, Server::Echo], round) {
            self.answers.entry(server).or_default().push(packets::bindings(line, server)?);
        }
        for server in in_turn([Server::Relay, Server::Coturn], round) {
            self.made.entry(server).or_default().measure(line, server)?;
            self.added.entry(server).or_default().measure(line, server)?;
        }
        Ok(())
    }

    fn report_packets(&self, report: &mut Report) {
        for ((server, path, burst), series) in &self.packets {
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
                let own = self.packets.get(&(Server::Relay, path, burst));
                let Some((own, other)) = own.zip(self.packets.get(&(yardstick, path, burst))) else {
                    continue;
                };
                let what = format!("{path:?}, bursts of {burst}, over {}", yardstick.name());
                report.target(what, &own.over(other), Bound::AtMost(most));
            }
        }
    }

    fn report_control(&self, report: &mut Report) {
        for (server, series) in &self.answers {
            report.figure(format!("{}, Binding", server.name()), "answers a second of CPU", series);
        }
        let answers = [Server::Relay, Server::Echo].map(|server| self.answers.get(&server));
        if let [Some(own), Some(echo)] = answers {
            report.target("Binding answers over the echo's", &own.over(echo), Bound::AtLeast(0.85));
        }
        for (server, made) in &self.made {
            let name = server.name();
            report.figure(format!("{name}, allocations with channel"), "a second of CPU", &made.of_a_second);
            report.figure(format!("{name}, an allocation with channel"), "KiB", &made.kib);
            report.figure(format!("{name}, with 10 000 of them"), "MiB", &made.all_mib);
            report.figure(format!("{name}, more than before when they are given up"), "MiB", &made.left_mib);
        }
        let Some(own) = self.made.get(&Server::Relay) else { return };
        report.target("KiB of an allocation", &own.kib, Bound::AtMost(3.0));
        if let Some(others) = self.made.get(&Server::Coturn) {
            let ratio = own.of_a_second.over(&others.of_a_second);
            report.target("allocations over coturn's", &ratio, Bound::AtLeast(3.0));
        }
    }

    fn report_latency(&self, report: &mut Report) {
        for (server, added) in &self.added {
            let name = server.name();
            report.figure(format!("{name}, added to a packet there and back"), "µs", &added.median);
            report.figure(format!("{name}, added at the 99th percentile"), "µs", &added.p99);
        }
    }
}

/// Those of them that are here, another one first each round.
fn in_turn<const N: usize>(mut servers: [Server; N], round: usize) -> impl Iterator<Item = Server> {
    servers.rotate_left(round % N);
    servers.into_iter().filter(|server| server.is_installed())
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

//! How much longer a packet takes through a relay: one at a time, there and back, beside the way without one.

use std::{
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use anyhow::{Result, ensure};

use super::{
    PAYLOAD,
    line::Line,
    servers::{Clients, Server},
    turn,
};
use crate::{
    clock::{micros, now},
    series::Series,
};

const PACKETS: usize = 20_000;
const FIRST: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(5);

/// Microseconds that a relay adds to a packet's way there and back.
#[derive(Debug, Default)]
pub(super) struct Added {
    pub(super) median: Series,
    pub(super) p99: Series,
}

impl Added {
    pub(super) fn measure(&mut self, line: &Line, server: Server) -> Result<()> {
        let measured = server.start(line, Clients::UNKNOWN)?;
        let [client, peer] = [bound(line)?, bound(line)?];
        let peer_addr = peer.local_addr()?;
        let made = turn::allocate(&[&client], measured.addr, peer_addr, &measured.credentials)?;
        let framed = [&[0x40, 0, 0, 200][..], &[0; PAYLOAD]].concat();
        ensure!(made.len() == 1, "no allocation");
        let through = there_and_back((&client, measured.addr, &framed), &peer)?;
        let without = there_and_back((&bound(line)?, peer_addr, &[0; PAYLOAD]), &peer)?;
        self.median.push(micros(of(&through, 50)) - micros(of(&without, 50)));
        self.p99.push(micros(of(&through, 99)) - micros(of(&without, 99)));
        Ok(())
    }
}

fn bound(line: &Line) -> Result<UdpSocket> {
    let socket = line.bind()?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// What each took, sorted; the first ones, for which everything is cold, are left out.
fn there_and_back(
    (client, to, packet): (&UdpSocket, SocketAddr, &[u8]),
    peer: &UdpSocket,
) -> Result<Vec<Duration>> {
    let mut buffer = [0; 2_048];
    let mut took = Vec::with_capacity(PACKETS);
    for _ in 0..FIRST + PACKETS {
        let begun = now();
        client.send_to(packet, to)?;
        let (_, from) = peer.recv_from(&mut buffer)?;
        peer.send_to(&[0; PAYLOAD], from)?;
        client.recv(&mut buffer)?;
        took.push(begun.elapsed());
    }
    let mut took = took.split_off(FIRST);
    took.sort_unstable();
    Ok(took)
}

fn of(sorted: &[Duration], percent: usize) -> Duration {
    sorted.get(sorted.len() * percent / 100).copied().unwrap_or_default()
}

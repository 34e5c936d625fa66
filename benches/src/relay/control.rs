//! What an allocation costs, with some clients asking at a time, and how much memory many hold.

use std::time::Duration;

use anyhow::Result;

use super::{
    line::Line,
    servers::{Clients, Server},
    turn,
};
use crate::{clock::now, series::Series};

const ALLOCATIONS: u16 = 10_000;
/// Clients that ask at a time: with one, two processes would wake each other in turn, and nothing else be measured.
const AT_A_TIME: usize = 64;
/// What goes back later does not count as given back.
const PATIENCE: Duration = Duration::from_secs(5);

/// Of many allocations with a channel each.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// For a second of processor time.
    pub(super) of_a_second: Series,
    /// KiB of each.
    pub(super) kib: Series,
    /// MiB of the process that holds them.
    pub(super) all_mib: Series,
    /// MiB more than before, when they are given up.
    pub(super) left_mib: Series,
}

impl Made {
    /// Makes them, and gives them up again.
    pub(super) fn measure(&mut self, line: &Line, server: Server) -> Result<()> {
        let measured = server.start(line, Clients::UNKNOWN)?;
        let peer = line.bind()?.local_addr()?;
        let sockets = (0..ALLOCATIONS).map(|_| line.bind()).collect::<Result<Vec<_>>>()?;
        let process = &measured.process;
        let (before, time) = (process.memory()?, process.time_on_cores()?);
        let mut clients = Vec::with_capacity(sockets.len());
        for sockets in sockets.iter().collect::<Vec<_>>().chunks(AT_A_TIME) {
            clients.extend(turn::hold(sockets, measured.addr, peer, &measured.credentials)?);
        }
        let spent = process.time_on_cores()?.saturating_sub(time);
        let all = process.memory()?;
        for clients in clients.chunks_mut(AT_A_TIME) {
            turn::give_up(clients)?;
        }
        let mut left = process.memory()?;
        let begun = now();
        while begun.elapsed() < PATIENCE && left - before > 1_024.0 {
            std::thread::sleep(Duration::from_millis(200));
            left = process.memory()?;
        }
        let count = f64::from(ALLOCATIONS);
        self.of_a_second.push(count / spent.as_secs_f64());
        self.kib.push((all - before) / count);
        self.all_mib.push(all / 1_024.0);
        self.left_mib.push((left - before) / 1_024.0);
        Ok(())
    }
}

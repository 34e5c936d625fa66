//! A node is killed while its devices are rung.
//!
//! At one node are those who invite, each again and again at its own pace; at the second and the third
//! those whom they invite. The second is killed: its devices find their connections broken and come back to
//! the third at once. Their silence is from the kill until the next ring.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::future::try_join_all;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::rung::{Inviting, Rung, Watched, pause};
use crate::{
    clock::{micros, now},
    installation::{Installation, Server},
    series::{Latencies, Series},
};

/// Devices that are rung at each of the two nodes.
pub(super) const RUNG: u32 = 8;

/// Devices that take part.
pub(super) const DEVICES: u32 = 4 * RUNG;

/// How often each is rung.
const EVERY: Duration = Duration::from_millis(50);

/// How often each rings while all goes well, and then after the kill.
const WELL: usize = 40;
const AFTER: usize = 40;

/// Until a device is given up that does not ring so often.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

/// In milliseconds, over all rounds.
#[derive(Default)]
pub(super) struct Found {
    /// Of the devices of the dead node, the one in the middle.
    pub(super) silence: Series,
    pub(super) longest: Series,
    /// The longest pause at another node, after the kill and before.
    pub(super) elsewhere: Series,
    pub(super) before: Series,
}

impl Found {
    pub(super) async fn round(
        &mut self,
        installation: &Installation,
        nodes: Vec<Server>,
    ) -> anyhow::Result<()> {
        let [first, mut second, third] = <[Server; 3]>::try_from(nodes).ok().context("three nodes")?;
        let (dies, other) = (second.door.clone(), &third.door);
        let (mut there, mut elsewhere) = (Vec::new(), Vec::new());
        let mut inviting = Vec::new();
        for pair in 0..2 * RUNG {
            let (from, to) = (installation.device(2 * pair)?, installation.device(2 * pair + 1)?);
            inviting.push(Inviting::connect(installation, &first.door, from, to).await?);
            let (group, door) = if pair < RUNG { (&mut there, &dies) } else { (&mut elsewhere, other) };
            group.push(Rung::connect(installation, to, [door, other]).await?);
        }
        let (end, all) = (CancellationToken::new(), Watched::all(there.iter().chain(&elsewhere)));
        let invites = try_join_all(inviting.iter_mut().map(|inviting| inviting.invite(EVERY, &end)));
        let rings = try_join_all(there.iter_mut().chain(&mut elsewhere).map(|rung| rung.listen(&end)));
        let killed = timeout(PATIENCE, killed(all, &mut second, &end));
        let killing = async { killed.await.context("a device rings no more")? };
        let (_, _, killed) = tokio::try_join!(invites, rings, killing)?;
        let silences = there.iter().map(|rung| rung.silence(killed)).collect::<anyhow::Result<Vec<_>>>()?;
        let longest = silences.iter().max().copied().unwrap_or_default();
        self.silence.push(silences.into_iter().collect::<Latencies>().quantiles().0 / 1e3);
        self.longest.push(micros(longest) / 1e3);
        self.elsewhere.push(pause(&elsewhere, killed..));
        self.before.push(pause(&elsewhere, ..killed));
        Ok(())
    }
}

/// Kills the node when all devices ring well, and ends when they have rung again for a while; says when it
/// was killed.
async fn killed(mut all: Watched, node: &mut Server, end: &CancellationToken) -> anyhow::Result<Instant> {
    all.have_rung(WELL, now()).await?;
    let at = now();
    node.process.kill()?;
    all.have_rung(AFTER, at).await?;
    end.cancel();
    Ok(at)
}

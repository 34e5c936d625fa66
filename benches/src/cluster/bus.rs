//! A server of the bus freezes, or is killed, while devices are rung.
//!
//! At one node are those who invite, at the two others those whom they invite, so that every ring is hinted at over the
//! bus. What a server that stands still was to hand on is lost: the nodes find it by looking, each second. Whichever
//! server a node is at, each of them freezes in its turn; after the last round one is killed.

use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use switchhook_programs::nats;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    death::{PATIENCE, RUNG},
    rung::{Inviting, Rung, Watched, pause},
};
use crate::{
    clock::now,
    installation::{Installation, Server},
    series::Series,
};

/// How often each is rung: what is looked for is a second and more, and the servers have little to do.
const EVERY: Duration = Duration::from_millis(250);

/// How often each rings while all goes well, and then after a blow.
const WELL: usize = 8;
const AFTER: usize = 16;

/// NATS servers.
const SERVERS: usize = 3;

/// The longest that a device heard nothing, in milliseconds, over all rounds.
#[derive(Default)]
pub(super) struct Found {
    /// While all went well.
    pub(super) before: Series,
    pub(super) frozen: Series,
    pub(super) killed: Series,
}

impl Found {
    pub(super) async fn round(
        &mut self,
        installation: &Installation,
        nodes: &[Server],
        (bus, last): (&mut nats::Cluster, bool),
    ) -> anyhow::Result<()> {
        let [first, others @ ..] = nodes else { anyhow::bail!("no nodes") };
        let (mut inviting, mut rung) = (Vec::new(), Vec::new());
        for (pair, node) in (0..2 * RUNG).zip(others.iter().cycle()) {
            let (from, to) = (installation.device(2 * pair)?, installation.device(2 * pair + 1)?);
            inviting.push(Inviting::connect(installation, &first.door, from, to).await?);
            rung.push(Rung::connect(installation, to, [&node.door, &node.door]).await?);
        }
        let (end, mut all) = (CancellationToken::new(), Watched::all(rung.iter()));
        let invites = try_join_all(inviting.iter_mut().map(|inviting| inviting.invite(EVERY, &end)));
        let rings = try_join_all(rung.iter_mut().map(|rung| rung.listen(&end)));
        let striking = async {
            timeout(PATIENCE, all.have_rung(WELL, now())).await.context("a device does not ring")??;
            let frozen = now();
            for server in 0..SERVERS {
                bus.server(server).freeze();
                let heard = timeout(PATIENCE, all.have_rung(AFTER, now())).await;
                bus.server(server).thaw();
                heard.context("a device rings no more")??;
                timeout(PATIENCE, all.have_rung(WELL, now())).await.context("it is not mended")??;
            }
            let killed = now();
            if last {
                bus.kill(0);
                timeout(PATIENCE, all.have_rung(AFTER, now())).await.context("a device rings no more")??;
            }
            end.cancel();
            anyhow::Ok((frozen, killed))
        };
        let (_, _, (frozen, killed)) = tokio::try_join!(invites, rings, striking)?;
        self.before.push(pause(&rung, ..frozen));
        self.frozen.push(pause(&rung, frozen..killed));
        if last {
            self.killed.push(pause(&rung, killed..));
        }
        Ok(())
    }
}

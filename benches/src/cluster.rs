//! The same invite on three nodes with PostgreSQL and NATS, and what the death of a node costs.
//!
//! PostgreSQL keeps what it confirms; a cluster of three NATS servers connects the nodes. Inviter and
//! invited are at different nodes. The yardstick is one node on the same servers with both of them. The
//! processor time is that of the nodes, without the servers below them. Then servers of the bus freeze and are killed,
//! see [`bus`], and a node is killed, see [`death`].

mod bus;
mod death;
mod rung;

use switchhook_programs::{nats, postgres};

use crate::{
    Options,
    installation::{Installation, Server, Shared},
    invite::Way,
    one_thread,
    report::{Bound, Report},
};

/// How late a ring may be at most, in milliseconds, whatever dies or freezes below it.
const LATEST: f64 = 2_500.0;

/// Nodes.
const NODES: usize = 3;

/// What all rounds show.
#[derive(Default)]
struct Found {
    three: Way,
    one: Way,
    bus: bus::Found,
    death: death::Found,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    one_thread()?.block_on(async {
        let mut report = Report::new("durable invite to ring, three nodes with PostgreSQL and NATS");
        let servers = async { Ok((postgres::durable_database().await?, nats::Cluster::start()?)) };
        let (database, mut bus) = match servers.await {
            Ok(servers) => servers,
            Err::<_, String>(why) => {
                report.skipped("three nodes", &why);
                return Ok(report);
            }
        };
        let shared = Some(Shared { database, bus: bus.url() });
        let devices = (2 * options.pairs).max(death::DEVICES);
        let prepared = Installation::prepare_on(shared, options.server()?, options.on_disk()?, devices);
        Ok(measured(options, &prepared.await?, &mut bus).await?.report(report, options.pairs))
    })
}

async fn measured(
    options: &Options,
    installation: &Installation,
    bus: &mut nats::Cluster,
) -> anyhow::Result<Found> {
    let mut found = Found::default();
    for round in 1..=options.rounds {
        let nodes = start(options, installation, NODES)?;
        found.three.round(installation, options.pairs, &nodes).await?;
        found.bus.round(installation, &nodes, (bus, round == options.rounds)).await?;
        found.death.round(installation, nodes).await?;
        found.one.round(installation, options.pairs, &start(options, installation, 1)?).await?;
    }
    Ok(found)
}

fn start(options: &Options, installation: &Installation, count: usize) -> anyhow::Result<Vec<Server>> {
    (0..count).map(|_| installation.start(options.on_disk()?, "")).collect()
}

impl Found {
    fn report(&self, mut report: Report, pairs: u32) -> Report {
        self.three.figures(&mut report, &format!("three nodes, {pairs} pairs"));
        self.one.figures(&mut report, "one node on the same servers");
        report.figure("three nodes over one", "×", &self.three.rate.over(&self.one.rate));
        let death::Found { silence, longest, elsewhere, before } = &self.death;
        report.figure("a node is killed: until its devices hear again, in the middle", "ms", silence);
        report.figure("  until the last of them does", "ms", longest);
        report.figure("  longest pause between rings at another node", "ms", elsewhere);
        report.figure("  the same before", "ms", before);
        report.target("  until the last of them does, ms", longest, Bound::AtMost(LATEST));
        let bus::Found { before, frozen, killed } = &self.bus;
        report.figure("longest pause between rings", "ms", before);
        report.target("  while one NATS server after the other is frozen, ms", frozen, Bound::AtMost(LATEST));
        report.target("  after one is killed, ms", killed, Bound::AtMost(LATEST));
        report
    }
}

//! From a device's invite to the ring at another device, over the real server.
//!
//! The generator is this process, on one thread; the server is a process of its own. Pairs of devices
//! call in a closed loop: the inviter invites, waits for its answer and for the ring at the invited
//! device, which acknowledges it, and invites again. Nobody accepts. An invite counts when it rang;
//! its latency is from the write of the request to the arrival of the ring. The yardstick is the same
//! server, the same code and settings, with its data folder in memory (`/dev/shm`), where a sync costs
//! nothing. Then each pair invites at a pace of its own, so that all together reach half of what was
//! reached before; there, the latency counts from when the invite was due.

use crate::{
    Options, in_memory,
    installation::{Installation, Server},
    load::{self, Load, Pace},
    one_thread,
    report::{Bound, Report},
    series::Series,
};

/// One way to store, over all rounds.
#[derive(Default)]
pub(crate) struct Way {
    pub(crate) rate: Series,
    p50: Series,
    p99: Series,
    /// Processor time of the server for each invite, in µs.
    processor: Series,
    /// Invites that were answered by an error, a second.
    refused: Series,
    half_p50: Series,
    half_p99: Series,
    half_processor: Series,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let [mut disk, mut memory] = <[Way; 2]>::default();
    one_thread()?.block_on(async {
        let devices = 2 * options.pairs;
        let installation = Installation::prepare(options.server()?, options.on_disk()?, devices).await?;
        for _ in 0..options.rounds {
            disk.round(&installation, options.pairs, &[installation.start(options.on_disk()?, "")?]).await?;
            memory.round(&installation, options.pairs, &[installation.start(in_memory()?, "")?]).await?;
        }
        anyhow::Ok(())
    })?;
    let mut report = Report::new("durable invite to ring, one invited device, generator included");
    disk.figures(&mut report, &format!("SQLite FULL on the disk, {} pairs", options.pairs));
    memory.figures(&mut report, "the same with the data folder in memory");
    report.target("invites/s on the disk", &disk.rate, Bound::AtLeast(5_000.0));
    report.target("disk over memory", &disk.rate.over(&memory.rate), Bound::AtLeast(0.6));
    report.target("p99 at half of it, ms", &disk.half_p99, Bound::AtMost(8.0));
    report.target("server's processor time for an invite, µs", &disk.processor, Bound::AtMost(150.0));
    Ok(report)
}

impl Way {
    /// One round on these servers.
    pub(crate) async fn round(
        &mut self,
        installation: &Installation,
        pairs: u32,
        servers: &[Server],
    ) -> anyhow::Result<()> {
        let mut load = Load::connect(installation, servers, pairs).await?;
        load.run(Pace::ClosedLoop, load::WARM, servers).await?;
        let peak = load.run(Pace::ClosedLoop, load::MEASURED, servers).await?;
        self.rate.push(peak.per_second);
        self.processor.push(peak.processor_micros);
        self.refused.push(f64::from(peak.calls.refused) / load::MEASURED.as_secs_f64());
        let (p50, p99) = peak.calls.latencies().quantiles();
        self.p50.push(p50 / 1e3);
        self.p99.push(p99 / 1e3);
        let pace = Pace::PerSecond(peak.per_second / 2.0);
        let half = load.run(pace, load::MEASURED, servers).await?;
        self.half_processor.push(half.processor_micros);
        let (p50, p99) = half.calls.latencies().quantiles();
        self.half_p50.push(p50 / 1e3);
        self.half_p99.push(p99 / 1e3);
        Ok(())
    }

    pub(crate) fn figures(&self, report: &mut Report, what: &str) {
        report.figure(what, "invites/s", &self.rate);
        report.figure("  refused", "1/s", &self.refused);
        report.figure("  p50", "ms", &self.p50);
        report.figure("  p99", "ms", &self.p99);
        report.figure("  server's processor time for an invite", "µs", &self.processor);
        report.figure("  at half of it, p50", "ms", &self.half_p50);
        report.figure("  at half of it, p99", "ms", &self.half_p99);
        report.figure("  at half of it, processor time for an invite", "µs", &self.half_processor);
    }
}

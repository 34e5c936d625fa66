//! From a device's invite to the ring at another device, over the real server.
//!
//! The generator is this process, on one thread; the server is a process of its own. Pairs of devices
//! call in a closed loop: the inviter invites, waits for its answer and for the ring at the invited
//! device, which acknowledges it, and invites again. Nobody accepts. An invite counts when it rang;
//! its latency is from the write of the request to the arrival of the ring. The yardstick is the same
//! server, the same code and settings, with its data folder in memory (`/dev/shm`), where a sync costs
//! nothing. Then each pair invites at a pace of its own, so that all together reach half of what was
//! reached before; there, the latency counts from when the invite was due.

mod load;

use crate::{
    Options, in_memory,
    installation::{Installation, Server},
    invite::load::{Load, Pace},
    one_thread,
    report::{Bound, Report},
    series::Series,
};

/// One way to store, over all rounds.
#[derive(Default)]
struct Way {
    rate: Series,
    p50: Series,
    p99: Series,
    /// Processor time of the server for each invite, in µs.
    processor: Series,
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
            disk.round(&installation, installation.start(options.on_disk()?)?).await?;
            memory.round(&installation, installation.start(in_memory()?)?).await?;
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
    async fn round(&mut self, installation: &Installation, server: Server) -> anyhow::Result<()> {
        let mut load = Load::connect(installation, server.addr).await?;
        load.run(Pace::ClosedLoop, load::WARM, &server.process).await?;
        let peak = load.run(Pace::ClosedLoop, load::MEASURED, &server.process).await?;
        self.rate.push(peak.per_second);
        self.processor.push(peak.processor_micros);
        let (p50, p99) = peak.latencies.quantiles();
        self.p50.push(p50 / 1e3);
        self.p99.push(p99 / 1e3);
        let pace = Pace::PerSecond(peak.per_second / 2.0);
        let half = load.run(pace, load::MEASURED, &server.process).await?;
        self.half_processor.push(half.processor_micros);
        let (p50, p99) = half.latencies.quantiles();
        self.half_p50.push(p50 / 1e3);
        self.half_p99.push(p99 / 1e3);
        Ok(())
    }

    fn figures(&self, report: &mut Report, what: &str) {
        report.figure(what, "invites/s", &self.rate);
        report.figure("  p50", "ms", &self.p50);
        report.figure("  p99", "ms", &self.p99);
        report.figure("  server's processor time for an invite", "µs", &self.processor);
        report.figure("  at half of it, p50", "ms", &self.half_p50);
        report.figure("  at half of it, p99", "ms", &self.half_p99);
        report.figure("  at half of it, processor time for an invite", "µs", &self.half_processor);
    }
}

//! Overload: three times as many invites as the server can take.
//!
//! First many pairs of devices reach the peak together, and half of it is what "normal" means. Then
//! invites are due at three times the peak, by people who wait for an answer before they call again;
//! what is due meanwhile is their next call. An invite is of use when it rang within the patience of
//! somebody who calls. Afterwards half of the peak goes on, and the server is back to normal when the invites of
//! each quarter of a second take, in the middle, no longer than twice what they took before.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use crate::{
    Options,
    clock::now,
    installation::{Installation, Server},
    load::{self, Calls, Load, Pace},
    report::{Bound, Report},
    series::{Latencies, Series},
};

/// Pairs of devices: each has one invite on its way at most, so all together have as many.
const PAIRS: u32 = 1_500;

/// Times the peak.
const OVER: f64 = 3.0;

/// How long the peak is measured, and then half of it. All of a server's life is shorter than a ring (30 s).
const NORMAL: Duration = Duration::from_secs(4);

/// How long it is too much.
const OVERLOADED: Duration = Duration::from_secs(6);

/// What is looked at afterwards.
const AFTER: Duration = Duration::from_secs(6);

/// How long somebody waits for the other's phone to ring.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is looked at together.
const WINDOW: Duration = Duration::from_millis(250);

/// What all rounds show.
#[derive(Default)]
struct Found {
    peak: Series,
    good: Series,
    refused: Series,
    p99: Series,
    before: Series,
    largest: Series,
    after: Series,
    normal: Series,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let mut found = Found::default();
    crate::one_thread()?.block_on(async {
        let installation = Installation::prepare(options.server()?, options.on_disk()?, 2 * PAIRS).await?;
        for _ in 0..options.rounds {
            found.round(&installation, &[installation.start(options.on_disk()?, "")?]).await?;
        }
        anyhow::Ok(())
    })?;
    let mut report = Report::new("three times as many invites as it can take");
    report.figure(format!("peak, {PAIRS} pairs in a closed loop"), "invites/s", &found.peak);
    report.figure("of use under overload", "invites/s", &found.good);
    report.figure("  refused", "1/s", &found.refused);
    report.figure("  p99", "ms", &found.p99);
    report.figure("memory before", "MiB", &found.before);
    report.figure("  at most", "MiB", &found.largest);
    report.figure("  afterwards", "MiB", &found.after);
    report.figure("until back to normal", "s", &found.normal);
    report.target("of use over peak", &found.good.over(&found.peak), Bound::AtLeast(0.9));
    report.target("until back to normal, s", &found.normal, Bound::AtMost(5.0));
    Ok(report)
}

impl Found {
    async fn round(&mut self, installation: &Installation, servers: &[Server]) -> anyhow::Result<()> {
        let mut load = Load::connect(installation, servers, PAIRS).await?;
        load.run(Pace::ClosedLoop, load::WARM, servers).await?;
        let peak = load.run(Pace::ClosedLoop, NORMAL, servers).await?.per_second;
        let half = load.run(Pace::PerSecond(peak / 2.0), NORMAL, servers).await?;
        self.peak.push(peak);
        self.before.push(mib(servers)?);

        let (ran, largest) = overload(&mut load, peak * OVER, servers).await?;
        let ended = now();
        self.good.push(per_second(ran.rang.iter().filter(|(_, took)| *took <= PATIENCE).count())?);
        self.refused.push(f64::from(ran.refused) / OVERLOADED.as_secs_f64());
        self.p99.push(ran.latencies().quantiles().1 / 1e3);
        self.largest.push(largest);

        let ran = load.run(Pace::PerSecond(peak / 2.0), AFTER, servers).await?;
        self.after.push(mib(servers)?);
        let (median, _) = half.calls.latencies().quantiles();
        self.normal.push(until_normal(&ran.calls, ended, 2.0 * median).as_secs_f64());
        Ok(())
    }
}

/// Overloads the server; what came of it, and the most memory that it had meanwhile, in MiB.
async fn overload(load: &mut Load, rate: f64, servers: &[Server]) -> anyhow::Result<(Calls, f64)> {
    let mut largest = 0.0_f64;
    let mut look = tokio::time::interval(WINDOW);
    let mut running = pin!(load.run(Pace::PerSecond(rate), OVERLOADED, servers));
    loop {
        tokio::select! {
            ran = &mut running => return Ok((ran?.calls, largest)),
            _ = look.tick() => largest = largest.max(mib(servers)?),
        }
    }
}

/// How long after its end the last window was whose middle took longer than this, in µs.
fn until_normal(calls: &Calls, ended: Instant, bound: f64) -> Duration {
    let windows = u32::try_from(AFTER.as_millis() / WINDOW.as_millis()).unwrap_or_default();
    let slow = (0..windows).rev().find(|window| {
        let from = ended + WINDOW * *window;
        let within = calls.rang.iter().filter(|(due, _)| (from..from + WINDOW).contains(due));
        within.map(|(_, took)| *took).collect::<Latencies>().quantiles().0 > bound
    });
    slow.map_or(Duration::ZERO, |window| WINDOW * (window + 1))
}

fn per_second(count: usize) -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(count)?) / OVERLOADED.as_secs_f64())
}

fn mib(servers: &[Server]) -> anyhow::Result<f64> {
    let kib: f64 = servers.iter().map(|server| server.process.memory()).sum::<Result<_, _>>()?;
    Ok(kib / 1024.0)
}

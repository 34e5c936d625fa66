//! One tenant burns its whole budget on every call; another asks as always. Beside that: the same two loads in
//! two processes, which is what separating tenants by the operating system gives.

use std::{io::Write as _, sync::Arc, time::Duration};

use switchhook_built_guests::LOOPS_IN_ROUTE;
use switchhook_core::policy::{Context, Facts, Slot};
use switchhook_plugin_runtime::{
    ActivePlugin, Failure, Metrics, Runtime, RuntimeSettings, Slots, builtin::Builtin,
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Options,
    clock::now,
    plugin_call::{context, question},
    process::Running,
    report::{Bound, Report},
    series::{Latencies, Series},
};

/// How long the quiet tenant is counted, each way.
const COUNTED: Duration = Duration::from_secs(2);

/// Calls of the noisy tenant at the same time: as many as a tenant has places.
const NOISE: usize = 25;

/// How long a caller of the noisy tenant waits when it was refused at once: about what a client's next
/// request takes to come.
const REFUSED: Duration = Duration::from_millis(1);

/// Decisions a second and the 99th percentile, in milliseconds, of each round.
#[derive(Default)]
struct Quiet {
    rate: Series,
    p99: Series,
}

pub(super) fn run(options: &Options, router: &Builtin) -> anyhow::Result<Report> {
    let [mut alone, mut beside, mut apart] = <[Quiet; 3]>::default();
    for _ in 0..options.rounds {
        alone.add(threads()?.block_on(count(router, false))?);
        beside.add(threads()?.block_on(count(router, true))?);
        let (noisy, _ready) = Running::yardstick(&["burn"])?;
        apart.add(threads()?.block_on(count(router, false))?);
        drop(noisy);
    }
    let mut report = Report::new("a tenant beside one that burns its whole budget on every call");
    for (what, quiet) in [("alone", &alone), ("beside it", &beside), ("in another process than it", &apart)] {
        report.figure(format!("{what}, decisions"), "1/s", &quiet.rate);
        report.figure(format!("{what}, p99"), "ms", &quiet.p99);
    }
    report.target("throughput beside it over alone", &beside.rate.over(&alone.rate), Bound::AtLeast(0.9));
    report.target(
        "throughput beside it over in another process",
        &beside.rate.over(&apart.rate),
        Bound::AtLeast(1.0),
    );
    let slower = Series::difference(&beside.p99, &alone.p99);
    report.target("p99 beside it, more than alone, ms", &slower, Bound::AtMost(2.0));
    report.target("p99 beside it over in another process", &beside.p99.over(&apart.p99), Bound::AtMost(1.0));
    Ok(report)
}

/// The noise alone, until this process is ended.
pub(crate) fn burn() -> anyhow::Result<()> {
    threads()?.block_on(async {
        let slots = slots().await?;
        let _noise = noise(&slots)?;
        let mut output = std::io::stdout();
        writeln!(output, "burning")?;
        output.flush()?;
        std::future::pending().await
    })
}

impl Quiet {
    fn add(&mut self, latencies: Latencies) {
        self.rate.push(latencies.count() / COUNTED.as_secs_f64());
        self.p99.push(latencies.quantiles().1 / 1e3);
    }
}

/// Two, as a server on two cores has.
fn threads() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// The quiet tenant, one question after another.
async fn count(router: &Builtin, noisy: bool) -> anyhow::Result<Latencies> {
    let slots = slots().await?;
    let context = tenant("quiet")?;
    let plugin = slots.0.compile(router.bytes, Slot::InviteRouter).await?;
    activate(&slots.1, &context, plugin)?;
    let _noise = if noisy { noise(&slots)? } else { vec![] };
    let asking = async move {
        let (question, facts) = (question()?, Arc::new(Facts::default()));
        let (mut latencies, until) = (Latencies::default(), now() + COUNTED);
        while now() < until {
            let started = now();
            let decision = slots.1.route(&context, &question, &facts).await;
            latencies.push(started.elapsed());
            anyhow::ensure!(decision.failure.is_none(), "the router failed: {:?}", decision.failure);
            tokio::task::yield_now().await;
        }
        Ok(latencies)
    };
    tokio_util::task::TaskTracker::new().spawn(asking).await?
}

/// A runtime, and slots in which the noisy tenant has its plugin.
async fn slots() -> anyhow::Result<(Runtime, Arc<Slots>)> {
    let runtime = Runtime::new(RuntimeSettings::default())?;
    let slots = Arc::new(Slots::new(runtime.clone(), Metrics::default()));
    let plugin = runtime.compile(LOOPS_IN_ROUTE, Slot::InviteRouter).await?;
    activate(&slots, &tenant("noisy")?, plugin)?;
    Ok((runtime, slots))
}

fn noise((_, slots): &(Runtime, Arc<Slots>)) -> anyhow::Result<Vec<AbortOnDropHandle<()>>> {
    let (question, context, tasks) = (question()?, tenant("noisy")?, tokio_util::task::TaskTracker::new());
    let burn = || {
        let (slots, question, context) = (Arc::clone(slots), question.clone(), context.clone());
        let facts = Arc::new(Facts::default());
        AbortOnDropHandle::new(tasks.spawn(async move {
            loop {
                if slots.route(&context, &question, &facts).await.failure == Some(Failure::Spent) {
                    tokio::time::sleep(REFUSED).await;
                }
            }
        }))
    };
    Ok((0..NOISE).map(|_| burn()).collect())
}

fn activate(
    slots: &Slots,
    context: &Context,
    plugin: switchhook_plugin_runtime::Compiled,
) -> anyhow::Result<()> {
    let configuration = "{}".to_owned();
    let active = ActivePlugin { name: "own".parse()?, version: 1, plugin, configuration };
    Ok(slots.activate(&context.tenant, active)?)
}

fn tenant(name: &str) -> anyhow::Result<Context> {
    Ok(Context { tenant: name.parse()?, ..context()? })
}

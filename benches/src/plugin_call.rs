//! One routing decision for five devices, in a fresh instance: through the host, and other ways.
//!
//! The guest is the router that ships. Bare Wasmtime runs the same bytes without limits, checks,
//! conversions or metrics. The webhook is what people do without plugins: the question as JSON to a
//! program of its own, over a connection that is kept. The native function is the declared default.

#[expect(clippy::too_many_arguments, reason = "generated from the contract")]
mod bare;
mod burn;
mod script;
pub(crate) mod webhook;

use std::{
    hint::black_box,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use switchhook_core::policy::{
    Context, Facts, Slot,
    route::{Invite, Plan, Question, Routed, Target},
};
use switchhook_plugin_runtime::{
    ActivePlugin, Metrics, Runtime, RuntimeSettings, Slots,
    builtin::{self, Builtin},
};
use switchhook_protocol::time::Timestamp;

use crate::{
    Options,
    clock::now,
    one_thread,
    report::{Bound, Report},
    series::{Latencies, Series},
};

/// Decisions a round, each way; a webhook takes longer.
const DECISIONS: usize = 20_000;
const WEBHOOK_DECISIONS: usize = 5_000;

/// How long decisions are counted, each way.
const COUNTED: Duration = Duration::from_secs(1);

/// Median and 99th percentile of each round.
#[derive(Default)]
struct Way {
    median: Series,
    p99: Series,
}

/// Decisions a second of each round.
#[derive(Default)]
struct Rates {
    one: Series,
    two: Series,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let router = builtin::all().iter().find(|plugin| plugin.slot == Slot::InviteRouter);
    let router = router.context("a router ships")?;
    let runtime = one_thread()?;
    let host = runtime.block_on(Host::new(router))?;
    let bare = bare::Bare::new(router)?;
    let mut webhook = runtime.block_on(webhook::Webhook::start())?;
    let script = script::Script::new()?;
    let burner = runtime.block_on(burn::Burner::new())?;
    let question = question()?;

    let [mut by_host, mut by_bare, mut by_webhook, mut by_script, mut by_native] = <[Way; 5]>::default();
    let [mut host_rates, mut bare_rates] = <[Rates; 2]>::default();
    let mut burned = Series::default();
    for _ in 0..options.rounds {
        by_host.add(runtime.block_on(host.decide(&question))?);
        by_bare.add(bare.decide(&question)?);
        by_webhook.add(runtime.block_on(webhook.decide(&question))?);
        by_script.add(script.decide(&question)?);
        by_native.add(native(&question));
        host_rates.add(|until| host.count(&question, until))?;
        bare_rates.add(|until| bare.count(&question, until))?;
        burned.push(runtime.block_on(burner.burn(&question))?);
    }

    let mut report = Report::new("one routing decision, five devices, fresh instance");
    for (what, way) in [
        ("through the host", &by_host),
        ("bare Wasmtime, the same guest", &by_bare),
        ("webhook over HTTP/1.1 kept alive, bare hyper", &by_webhook),
        ("script in Rhai, fresh variables", &by_script),
        ("native function", &by_native),
    ] {
        report.figure(what, "µs", &way.median);
        report.figure(format!("{what}, p99"), "µs", &way.p99);
    }
    for (what, rates) in [("through the host", &host_rates), ("bare Wasmtime", &bare_rates)] {
        report.figure(format!("{what}, one thread"), "decisions/s", &rates.one);
        report.figure(format!("{what}, two threads"), "decisions/s", &rates.two);
    }
    report.figure("the tightest loop until a decision's fuel is burned", "ms", &burned);
    report.target("host over bare Wasmtime", &by_host.median.over(&by_bare.median), Bound::AtMost(1.5));
    report.target("host, µs", &by_host.median, Bound::AtMost(13.0));
    report.target("webhook over host", &by_webhook.median.over(&by_host.median), Bound::AtLeast(5.0));
    report.target("host on two threads, decisions/s", &host_rates.two, Bound::AtLeast(120_000.0));
    report.target("host, two threads over one", &host_rates.two.over(&host_rates.one), Bound::AtLeast(1.6));
    Ok(report)
}

impl Way {
    fn add(&mut self, latencies: Latencies) {
        let (median, p99) = latencies.quantiles();
        self.median.push(median);
        self.p99.push(p99);
    }
}

impl Rates {
    fn add(&mut self, count: impl Fn(Instant) -> anyhow::Result<f64> + Sync) -> anyhow::Result<()> {
        let rate = |threads: u8| {
            let until = now() + COUNTED;
            let counted: anyhow::Result<f64> = thread::scope(|scope| {
                let running: Vec<_> = (0..threads).map(|_| scope.spawn(|| count(until))).collect();
                let counted =
                    running.into_iter().map(|thread| thread.join().ok().context("a thread ends")?);
                counted.sum()
            });
            counted.map(|counted| counted / COUNTED.as_secs_f64())
        };
        self.one.push(rate(1)?);
        self.two.push(rate(2)?);
        Ok(())
    }
}

/// The host's whole way: slot, place, limits, conversions, checks, metrics.
struct Host {
    slots: Slots,
    context: Context,
}

impl Host {
    async fn new(router: &Builtin) -> anyhow::Result<Self> {
        let runtime = Runtime::new(RuntimeSettings::default())?;
        let plugin = runtime.compile(router.bytes, router.slot).await?;
        let slots = Slots::new(runtime, Metrics::default());
        let context = context()?;
        let configuration = router.configuration.to_owned();
        let active = ActivePlugin { name: router.name.parse()?, version: 1, plugin, configuration };
        slots.activate(&context.tenant, active)?;
        Ok(Self { slots, context })
    }

    async fn decide(&self, question: &Question) -> anyhow::Result<Latencies> {
        let facts = Arc::new(Facts::default());
        let mut latencies = Latencies::with_capacity(DECISIONS);
        for _ in 0..DECISIONS {
            let started = now();
            let decision = self.slots.route(&self.context, black_box(question), &facts).await;
            latencies.push(started.elapsed());
            anyhow::ensure!(decision.failure.is_none(), "the router failed: {:?}", decision.failure);
        }
        Ok(latencies)
    }

    fn count(&self, question: &Question, until: Instant) -> anyhow::Result<f64> {
        let facts = Arc::new(Facts::default());
        one_thread()?.block_on(async {
            let mut decided = 0_u32;
            while now() < until {
                let decision = self.slots.route(&self.context, black_box(question), &facts).await;
                anyhow::ensure!(decision.failure.is_none(), "the router failed: {:?}", decision.failure);
                decided += 1;
            }
            Ok(f64::from(decided))
        })
    }
}

fn native(question: &Question) -> Latencies {
    let mut latencies = Latencies::with_capacity(DECISIONS);
    for _ in 0..DECISIONS {
        let started = now();
        let routed = Routed::Ring(Plan::ring_all(&black_box(question).targets));
        black_box(routed.check(question)).ok();
        latencies.push(started.elapsed());
        drop(routed);
    }
    latencies
}

pub(crate) fn context() -> anyhow::Result<Context> {
    Ok(Context {
        tenant: "acme".parse()?,
        application: "phone".parse()?,
        now: Timestamp::from_millis(1_800_000_000_000),
        seed: (1, 2),
        subject: "s-1".to_owned(),
    })
}

pub(crate) fn question() -> anyhow::Result<Question> {
    let target = Target { user: 0, kind: "phone".to_owned(), region: "eu-west".to_owned(), online: true };
    Ok(Question {
        invite: Invite {
            inviter: "+15550100".parse()?,
            invited: vec!["+15550101".parse()?],
            purpose: "audio".to_owned(),
            inviter_region: "eu-west".to_owned(),
        },
        targets: vec![target; 5],
        so_far: vec![],
        answers: vec![],
    })
}

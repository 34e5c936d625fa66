//! A thousand tenants, each with a component of its own, asked in turn; beside one tenant asked all the time.

use std::sync::Arc;

use switchhook_built_guests::by_hand::padded;
use switchhook_core::policy::{Context, Facts, Slot};
use switchhook_plugin_runtime::{ActivePlugin, Metrics, Runtime, RuntimeSettings, Slots, builtin::Builtin};

use crate::{
    Options,
    clock::now,
    one_thread,
    plugin_call::{context, question},
    process,
    report::{Bound, Report},
    series::{Latencies, Series},
};

const TENANTS: usize = 1_000;

pub(super) fn run(options: &Options, router: &Builtin) -> anyhow::Result<Report> {
    let runtime = one_thread()?;
    let plugins = Runtime::new(RuntimeSettings::default())?;
    let slots = Slots::new(plugins.clone(), Metrics::default());
    let before = process::resident()?;
    let tenants = runtime.block_on(settle(&plugins, &slots, router))?;
    let per_tenant = (process::resident()? - before) / f64::from(u32::try_from(TENANTS)?);

    let (mut in_turn, mut one, mut memory) = (Series::default(), Series::default(), Series::default());
    memory.push(per_tenant);
    for _ in 0..options.rounds {
        in_turn.push(runtime.block_on(ask(&slots, &tenants, TENANTS * 5))?);
        one.push(runtime.block_on(ask(&slots, tenants.get(..1).unwrap_or_default(), TENANTS * 5))?);
    }
    let mut report = Report::new("1 000 tenants, a component each");
    report.figure("asked in turn", "µs", &in_turn);
    report.figure("one tenant asked all the time", "µs", &one);
    report.figure("resident for each idle tenant", "KiB", &memory);
    report.target("in turn over one", &in_turn.over(&one), Bound::AtMost(3.0));
    report.target("KiB for each idle tenant", &memory, Bound::AtMost(300.0));
    Ok(report)
}

/// Components that differ in what says nothing, so that nothing is shared between tenants.
async fn settle(plugins: &Runtime, slots: &Slots, router: &Builtin) -> anyhow::Result<Vec<Context>> {
    let mut tenants = Vec::with_capacity(TENANTS);
    for number in 0..TENANTS {
        let bytes = padded(router.bytes, number + 1);
        let plugin = plugins.compile(&bytes, Slot::InviteRouter).await?;
        let context = Context { tenant: format!("tenant-{number}").parse()?, ..context()? };
        let configuration = router.configuration.to_owned();
        let active = ActivePlugin { name: "own".parse()?, version: 1, plugin, configuration };
        slots.activate(&context.tenant, active)?;
        tenants.push(context);
    }
    Ok(tenants)
}

/// The median of so many decisions.
async fn ask(slots: &Slots, tenants: &[Context], decisions: usize) -> anyhow::Result<f64> {
    let (question, facts) = (question()?, Arc::new(Facts::default()));
    let mut latencies = Latencies::with_capacity(decisions);
    for context in tenants.iter().cycle().take(decisions) {
        let started = now();
        let decision = slots.route(context, &question, &facts).await;
        latencies.push(started.elapsed());
        anyhow::ensure!(decision.failure.is_none(), "the router failed: {:?}", decision.failure);
    }
    Ok(latencies.quantiles().0)
}

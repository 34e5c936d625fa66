//! Routers in other languages, built by `switchhook plugin build` and named by `--component`.

use std::{fs, path::Path, sync::Arc};

use anyhow::Context as _;
use switchhook_core::policy::{Facts, Slot};
use switchhook_plugin_runtime::{ActivePlugin, Metrics, Runtime, RuntimeSettings, Slots, report};

use crate::{
    Options,
    clock::now,
    one_thread,
    plugin_call::{context, question},
    report::Report,
    series::{Latencies, Series},
};

const DECISIONS: usize = 500;

pub(super) fn run(options: &Options) -> anyhow::Result<Report> {
    let runtime = one_thread()?;
    let mut table = Report::new("one routing decision in other languages, fresh instance");
    for path in &options.component {
        let slots = runtime.block_on(active(path))?;
        let (mut median, mut p99) = (Series::default(), Series::default());
        for _ in 0..options.rounds {
            let (half, most) = runtime.block_on(ask(&slots))?.quantiles();
            median.push(half);
            p99.push(most);
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        table.figure(name.clone(), "µs", &median);
        table.figure(format!("{name}, p99"), "µs", &p99);
    }
    Ok(table)
}

async fn active(path: &Path) -> anyhow::Result<Slots> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let found = report(&bytes, Slot::InviteRouter, &switchhook_core::policy::Grants::default());
    anyhow::ensure!(found.accepted(), "{}: {found}", path.display());
    let runtime = Runtime::new(RuntimeSettings::default())?;
    let plugin = runtime.compile(&bytes, Slot::InviteRouter).await?;
    let slots = Slots::new(runtime, Metrics::default());
    let configuration = "{}".to_owned();
    slots.activate(
        &context()?.tenant,
        ActivePlugin { name: "own".parse()?, version: 1, plugin, configuration },
    )?;
    Ok(slots)
}

async fn ask(slots: &Slots) -> anyhow::Result<Latencies> {
    let (context, question, facts) = (context()?, question()?, Arc::new(Facts::default()));
    let mut latencies = Latencies::with_capacity(DECISIONS);
    for _ in 0..DECISIONS {
        let started = now();
        let decision = slots.route(&context, &question, &facts).await;
        latencies.push(started.elapsed());
        anyhow::ensure!(decision.failure.is_none(), "the router failed: {:?}", decision.failure);
    }
    Ok(latencies)
}

//! What it takes until an upload can be asked: compiled, loaded from the folder of compiled code, made active.

use switchhook_built_guests::by_hand::padded;
use switchhook_core::policy::Slot;
use switchhook_plugin_runtime::{
    ActivePlugin, ArtefactSettings, Metrics, Runtime, RuntimeSettings, Slots, builtin::Builtin,
};
use wasmtime::{Config, Engine};

use crate::{
    Options,
    clock::now,
    in_memory, one_thread,
    plugin_call::context,
    report::{Bound, Report},
    series::Series,
};

/// Components a round.
const COMPONENTS: u32 = 20;

pub(super) fn run(options: &Options, router: &Builtin) -> anyhow::Result<Report> {
    let runtime = one_thread()?;
    let [mut compiled, mut bare, mut loaded, mut activated] = <[Series; 4]>::default();
    for _ in 0..options.rounds {
        let folder = in_memory()?;
        let start = || {
            let artefacts = Some(ArtefactSettings {
                folder: folder.path().to_owned(),
                keys: vec![[7; 32]],
                most: u64::MAX,
            });
            Runtime::new(RuntimeSettings { artefacts, ..RuntimeSettings::default() })
        };
        let (first, second) = (start()?, start()?);
        compiled.push(runtime.block_on(prepare(&first, router))?);
        bare.push(by_wasmtime(router)?);
        loaded.push(runtime.block_on(prepare(&second, router))?);
        activated.push(runtime.block_on(activate(&second, router))?);
    }
    let mut report = Report::new("from an upload to the first question");
    report.figure("examined and compiled", "ms", &compiled);
    report.figure("compiled by Wasmtime alone", "ms", &bare);
    report.figure("loaded from the folder of compiled code, and described", "ms", &loaded);
    report.figure("made active", "ms", &activated);
    report.target("examined and compiled over Wasmtime alone", &compiled.over(&bare), Bound::AtMost(1.2));
    report.target("activation, ms", &activated, Bound::AtMost(5.0));
    Ok(report)
}

/// Milliseconds until a component can be made active.
async fn prepare(runtime: &Runtime, router: &Builtin) -> anyhow::Result<f64> {
    let started = now();
    for number in 0..COMPONENTS {
        runtime.compile(&component(router, number)?, Slot::InviteRouter).await?;
    }
    Ok(started.elapsed().as_secs_f64() * 1e3 / f64::from(COMPONENTS))
}

/// The same of the compiler, with what a host needs: fuel and deadlines.
fn by_wasmtime(router: &Builtin) -> anyhow::Result<f64> {
    let mut config = Config::new();
    config.consume_fuel(true).epoch_interruption(true);
    let failed = |error: wasmtime::Error| anyhow::anyhow!("{error:#}");
    let engine = Engine::new(&config).map_err(failed)?;
    let started = now();
    for number in 0..COMPONENTS {
        engine.precompile_component(&component(router, number)?).map_err(failed)?;
    }
    Ok(started.elapsed().as_secs_f64() * 1e3 / f64::from(COMPONENTS))
}

/// Milliseconds of one swap, prefixes of other methods compared.
async fn activate(runtime: &Runtime, router: &Builtin) -> anyhow::Result<f64> {
    let slots = Slots::new(runtime.clone(), Metrics::default());
    let plugin = runtime.compile(router.bytes, router.slot).await?;
    let tenant = context()?.tenant;
    let started = now();
    for version in 1..=COMPONENTS {
        let (plugin, configuration) = (plugin.clone(), "{}".to_owned());
        slots.activate(&tenant, ActivePlugin { name: "own".parse()?, version, plugin, configuration })?;
    }
    Ok(started.elapsed().as_secs_f64() * 1e3 / f64::from(COMPONENTS))
}

fn component(router: &Builtin, number: u32) -> anyhow::Result<Vec<u8>> {
    Ok(padded(router.bytes, usize::try_from(number)? + 1))
}

//! One call after the other on a node without sockets, for counting what each costs.

use std::time::Duration;

use anyhow::{Context as _, Result};
use switchhook_plugin_runtime::{Deadlines, EngineSettings};
use switchhook_server::Settings;

use crate::{
    in_process::InProcess,
    people::{BOB, Device, INVITER, devices_of},
    router::Router,
    step::Does,
    system::System as _,
};

/// Alice invites Bob, whose phone rings and accepts, and ends it; everybody hears of it. So many times. What compiles
/// plugins is this program, which is not counted.
pub async fn call(compiler: &str, times: u64) -> Result<()> {
    let mut system = InProcess::with(|settings| counted(settings, compiler)).await?;
    let phone = devices_of(BOB).next().context("Bob has a phone")?;
    for _ in 0..times {
        system.invite(&[BOB], (Router::All, false), None).await?;
        system.hear(None).await?;
        for (device, does) in [(phone, Does::Rings), (phone, Does::Accepts), (INVITER, Does::Ends)] {
            act(&mut system, device, does).await?;
        }
        system.next_run().await?;
    }
    system.end().await
}

/// Who counts takes its time, and leaves little address space.
fn counted(settings: &mut Settings, compiler: &str) {
    settings.compiler = Some(compiler.into());
    let far = Duration::from_mins(1);
    settings.deadlines = Deadlines { decision: far, step: far, webhook: far };
    settings.engine = EngineSettings { instances: 1, large_instances: 1, memory_reservation: 64 << 20 };
}

async fn act(system: &mut InProcess, device: Device, does: Does) -> Result<()> {
    let answer = system.act(0, device, does, None).await?.context("the node does not die")?;
    answer.map_err(|refused| anyhow::anyhow!("{does:?}: {refused:?}"))?;
    system.hear(Some(device)).await?;
    Ok(())
}

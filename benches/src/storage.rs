//! What the storage's writer commits alone: invites as typed writes, on the disk and in memory.

use std::num::NonZeroU32;

use switchhook_protocol::id::TenantId;
use switchhook_storage::{Clock, Settings, Storage, yardstick};

use crate::{
    Options, clock,
    report::{Bound, Report},
    series::Series,
};

/// Invites a round.
const INVITES: u32 = 40_000;

/// Callers at once; a group of the writer takes as many.
const AT_ONCE: u32 = 256;

/// Devices that are invited in turn.
const DEVICES: u32 = 500;

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let runtime = tokio::runtime::Runtime::new()?;
    let (mut disk, mut memory) = (Series::default(), Series::default());
    for _ in 0..options.rounds {
        let clock = Clock::new(clock::timestamp);
        let folder = options.on_disk()?;
        let settings = Settings::new(folder.path().join("switchhook.db"), clock.clone());
        disk.push(runtime.block_on(async { rate(Storage::open(settings).await?).await })?);
        memory.push(runtime.block_on(async { rate(Storage::in_memory(clock).await?).await })?);
    }
    let mut report = Report::new("invites that the writer commits alone");
    report.figure(format!("SQLite FULL on the disk, {AT_ONCE} callers"), "invites/s", &disk);
    report.figure("the same code on a file in memory, without waiting", "invites/s", &memory);
    report.target("disk over memory", &disk.over(&memory), Bound::AtLeast(0.6));
    Ok(report)
}

async fn rate(storage: Storage) -> anyhow::Result<f64> {
    let tenant: TenantId = "default".parse()?;
    storage.tenants().create(&tenant, clock::timestamp()).await?;
    let part = storage.of(&tenant);
    let devices = yardstick::enrol(&part, DEVICES).await?;
    let at_once = NonZeroU32::new(AT_ONCE).unwrap_or(NonZeroU32::MIN);
    yardstick::invites(&part, &devices, ("warm", INVITES / 8), at_once).await?;
    let rate = yardstick::invites(&part, &devices, ("run", INVITES), at_once).await?;
    storage.close().await;
    Ok(rate.per_second())
}

//! Measures how many invites a second the writer commits, on the disk and in memory.
//!
//! `cargo run --release -p switchhook-storage --example commit_rate`

use std::num::NonZeroU32;

use switchhook_protocol::{id::TenantId, time::Timestamp};
use switchhook_storage::{Clock, Settings, Storage, yardstick};

#[expect(clippy::print_stdout, reason = "its output is what it is for")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let clock = Clock::new(|| Timestamp::from_millis(1));
    let folder = tempfile::tempdir_in(".")?;
    let disk = Storage::open(Settings::new(folder.path().join("switchhook.db"), clock.clone())).await?;
    let memory = Storage::in_memory(clock).await?;
    let tenant: TenantId = "default".parse()?;
    for (place, storage) in [("disk", disk), ("memory", memory)] {
        storage.tenants().create(&tenant, Timestamp::from_millis(1)).await?;
        let part = storage.of(&tenant);
        let devices = yardstick::enrol(&part, 1_000).await?;
        for (at_once, count) in [(1, 2_000), (64, 20_000), (256, 60_000), (512, 60_000)] {
            let run = format!("{at_once}");
            let at_once = NonZeroU32::new(at_once).unwrap_or(NonZeroU32::MIN);
            let rate = yardstick::invites(&part, &devices, (&run, count), at_once).await?;
            println!("{place}: {at_once} at once: {:.0} invites/s", rate.per_second());
            for device in &devices {
                part.mailbox(device).acknowledge(1_000_000).await?;
            }
        }
        storage.close().await;
    }
    Ok(())
}

//! What is left when the machine loses its power: everything that was confirmed, and nothing half done.
//!
//! A stream of invites is committed through the real writer while a disk ([`disk`]) looks on from below
//! SQLite ([`vfs`]) and notes each write and each sync. One run gives many losses: for any moment
//! of it, and any luck with what was not synced, the files are laid out as they would be found, opened, and compared
//! with what had been confirmed by then.
//!
//! A kill does not show any of this: the page cache outlives the process.

mod disk;
mod vfs;

use std::{fs, path::Path};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use sqlx::{Connection as _, SqliteConnection};
use switchhook_protocol::{id::DeviceId, time::Timestamp};

use self::vfs::{Shared, lock, watch};
use crate::{
    Clock, OpenError, Settings, Storage, TenantStorage,
    database::{Held, open_sqlite},
    dialect::sqlite::{self, Place, Synchronous},
    yardstick,
};

const DATABASE: &str = "switchhook.db";

/// Invites of one run, in groups of [`AT_ONCE`].
const GROUPS: u32 = 40;
const AT_ONCE: u32 = 4;

/// After so many groups the log is written back, with other invites under way.
const CHECKPOINT: u32 = 9;

/// Losses of one run.
const LOSSES: u64 = 120;

/// What is to be found of an invite: all or nothing.
const FOUND: &str = "SELECT \
    (SELECT count(*) FROM sessions WHERE session = 'session-' || $1) \
    + (SELECT count(*) FROM invitations WHERE session = 'session-' || $1) \
    + (SELECT count(*) FROM legs WHERE session = 'session-' || $1) \
    + (SELECT count(*) FROM timers WHERE session = 'session-' || $1) \
    + (SELECT count(*) FROM messages WHERE message = 'message-' || $1)";

#[tokio::test]
async fn a_loss_of_power_at_any_moment_takes_nothing_that_was_confirmed_and_leaves_nothing_half_done() {
    let run = Run::on(Synchronous::Full, async |path| Storage::open(settings(path)).await).await;

    for seed in 0..LOSSES {
        assert_eq!(run.lose_power(seed).await, Loss::default(), "seed {seed}");
    }
}

#[tokio::test]
async fn a_database_that_does_not_sync_each_commit_fails_this_test() {
    let run = Run::less_durable(Synchronous::Normal).await;

    let mut lost = 0;
    for seed in 0..LOSSES {
        let loss = run.lose_power(seed).await;
        assert_eq!((loss.halves, loss.broken), (vec![], None), "seed {seed}");
        lost += loss.confirmed.len();
    }
    assert!(lost > 0);
}

#[tokio::test]
async fn a_database_that_syncs_nothing_fails_this_test() {
    let run = Run::less_durable(Synchronous::Off).await;

    let mut broken = 0;
    for seed in 0..LOSSES {
        broken += usize::from(run.lose_power(seed).await.broken.is_some());
    }
    assert!(broken > 0);
}

/// What a disk saw of a stream of invites.
struct Run {
    disk: Shared,
    /// Each invite, with the moment when it was confirmed.
    confirmed: Vec<(usize, String)>,
}

/// What a loss of power did that it must not.
#[derive(Debug, Default, PartialEq, Eq)]
struct Loss {
    confirmed: Vec<String>,
    halves: Vec<String>,
    broken: Option<String>,
}

impl Run {
    /// With a writer that syncs less than ours.
    async fn less_durable(synchronous: Synchronous) -> Self {
        let open = async |path: &Path| {
            let held = Held::new(sqlite::lock(path)?, None);
            let place = Place::new(path.to_owned(), synchronous);
            Storage::start(open_sqlite(place, held).await?, clock())
        };
        Self::on(synchronous, open).await
    }

    async fn on(synchronous: Synchronous, open: impl AsyncFn(&Path) -> Result<Storage, OpenError>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(DATABASE);
        let disk = watch(folder.path());
        let storage = open(&path).await.unwrap();
        let tenant = "acme".parse().unwrap();
        storage.tenants().create(&tenant, Timestamp::from_millis(1)).await.unwrap();
        let acme = storage.of(&tenant);
        let devices = yardstick::enrol(&acme, AT_ONCE).await.unwrap();
        let mut run = Self { disk, confirmed: Vec::new() };
        for group in 0..GROUPS {
            let checkpoint = async {
                if group % CHECKPOINT == CHECKPOINT - 1 {
                    write_back(&path, synchronous);
                }
            };
            tokio::join!(run.invites(&acme, &devices, group), checkpoint);
        }
        storage.close().await;
        run
    }

    async fn invites(&mut self, acme: &TenantStorage, devices: &[DeviceId], group: u32) {
        let disk = &self.disk;
        let invites = devices.iter().enumerate().map(async |(number, device)| {
            let name = format!("{group}-{number}");
            acme.commit("invite", yardstick::invite(device, &name).unwrap()).await.unwrap();
            (lock(disk).moment(), name)
        });
        self.confirmed.extend(futures_util::future::join_all(invites).await);
    }

    /// Loses power at a moment of this seed, and looks at what is left.
    async fn lose_power(&self, seed: u64) -> Loss {
        let last = lock(&self.disk).moment();
        let moment = StdRng::seed_from_u64(seed).random_range(0..=last);
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in lock(&self.disk).after_power_loss(moment, seed) {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let mut loss = Loss::default();
        match found(&folder.path().join(DATABASE), &self.confirmed).await {
            Err(broken) => loss.broken = Some(broken),
            Ok(found) => {
                for (rows, (confirmed, name)) in found.into_iter().zip(&self.confirmed) {
                    match rows {
                        5 => {}
                        0 if *confirmed > moment => {}
                        0 => loss.confirmed.push(name.clone()),
                        _ => loss.halves.push(name.clone()),
                    }
                }
            }
        }
        loss
    }
}

/// Opens what was found, and counts the rows of each invite.
async fn found(path: &Path, invites: &[(usize, String)]) -> Result<Vec<i64>, String> {
    let storage = Storage::open(settings(path)).await.map_err(|error| format!("{error:?}"))?;
    storage.close().await;
    let mut connection = SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
    let said = sqlx::query_scalar::<_, String>("PRAGMA integrity_check").fetch_all(&mut connection).await;
    let said = said.map_err(|error| error.to_string())?.join(", ");
    if said != "ok" {
        return Err(said);
    }
    let mut found = Vec::new();
    for (_, name) in invites {
        let rows = sqlx::query_scalar(FOUND).bind(name).fetch_one(&mut connection).await;
        found.push(rows.map_err(|error| error.to_string())?);
    }
    connection.close().await.unwrap();
    Ok(found)
}

/// As another process would, beside the writer; what is synced for that is up to this connection.
fn write_back(path: &Path, synchronous: Synchronous) {
    let connection = Place::new(path.to_owned(), synchronous).writer().unwrap();
    connection.set("PRAGMA wal_checkpoint(RESTART)").unwrap();
    connection.close().unwrap();
}

fn settings(path: &Path) -> Settings {
    Settings::new(path.to_owned(), clock())
}

fn clock() -> Clock {
    Clock::new(|| Timestamp::from_millis(1))
}

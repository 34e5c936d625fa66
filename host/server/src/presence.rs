//! Who takes part in a session and is alive: marked by the node that holds its socket, taken out when
//! no node has for long.
//!
//! Each node looks at the participants that were not seen lately, all tenants together, the longest
//! unseen first: those whose device has its socket here it marks, all in one write; those that have
//! been unseen for the operator's time it takes out, as soon as it has looked for so long itself without a miss: after a
//! standstill devices need time to come back, and while the database is away no node marks anybody. Several nodes may
//! find the same one: the transaction looks again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use switchhook_core::row::{Participant, Write};
use switchhook_protocol::{
    id::TenantId,
    time::{Timestamp, millis},
};
use switchhook_storage::StorageError;
use tokio::time;
use tracing::{error, info, warn};

use crate::{app::App, causes::Causes, flows::session, limits};

/// How often it looks within the time after which somebody is lost: three misses in a row take nobody out.
const LOOKS: u32 = 4;

/// Marks and takes out until told to stop.
pub(crate) async fn work(app: Arc<App>) {
    let pace = pace(&app);
    let mut watch = Watch::new(app.now());
    loop {
        tokio::select! {
            biased;
            () = app.stop.cancelled() => return,
            () = time::sleep(pace) => {}
        }
        let may_lose = watch.may_lose(app.now(), app.lost_after);
        if let Err(trouble) = look(&app, may_lose).await {
            error!(error = %Causes(&trouble), "participants are not marked as seen");
            watch.missed(app.now());
        }
    }
}

/// Since when this node has looked without a miss.
#[derive(Debug, Clone, Copy)]
struct Watch {
    since: Timestamp,
    last: Timestamp,
}

impl Watch {
    const fn new(now: Timestamp) -> Self {
        Self { since: now, last: now }
    }

    /// Whether who is unseen now is lost. A look that comes much too late follows a standstill, perhaps of all nodes.
    fn may_lose(&mut self, now: Timestamp, lost_after: Duration) -> bool {
        if now > self.last.after(lost_after / 2) {
            self.since = now;
        }
        self.last = now;
        now >= self.since.after(lost_after)
    }

    /// The database was away, for the other nodes too.
    const fn missed(&mut self, now: Timestamp) {
        (self.since, self.last) = (now, now);
    }
}

/// Marks who is here and, if it may, takes out who has been unseen for too long.
pub(crate) async fn look(app: &App, may_lose: bool) -> Result<(), StorageError> {
    let pace = pace(app);
    let now = app.now();
    let since = Timestamp::from_millis(now.as_millis().saturating_sub(millis(pace)));
    let unseen = app.storage.unseen(since, limits::UNSEEN).await?;
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        unseen.into_iter().partition(|(tenant, it)| app.online.has(&(tenant.clone(), it.device.clone())));
    mark(app, here, now).await?;
    for (tenant, lost) in
        elsewhere.into_iter().filter(|(_, it)| may_lose && now >= it.seen_at.after(app.lost_after))
    {
        let (session, device) = (lost.session.clone(), lost.device.clone());
        match session::lose(app, &tenant, lost).await {
            Ok(false) => {}
            Ok(true) => {
                info!(tenant.id = %tenant, session.id = %session, device.id = %device, "a participant is lost");
            }
            Err(refused) => {
                warn!(tenant.id = %tenant, session.id = %session, %refused, "cannot be taken out");
            }
        }
    }
    Ok(())
}

fn pace(app: &App) -> Duration {
    app.lost_after / LOOKS
}

async fn mark(app: &App, here: Vec<(TenantId, Participant)>, at: Timestamp) -> Result<(), StorageError> {
    let mut writes = BTreeMap::<TenantId, Vec<Write>>::new();
    for (tenant, Participant { session, device, .. }) in here {
        writes.entry(tenant).or_default().push(Write::Seen { session, device, at });
    }
    for (tenant, writes) in writes {
        app.storage.of(&tenant).commit("seen", writes).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST_AFTER: Duration = Duration::from_mins(1);

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + seconds * 1_000)
    }

    /// Whether somebody may be lost at each of these looks.
    fn looks(watch: &mut Watch, seconds: impl IntoIterator<Item = u64>) -> Vec<bool> {
        seconds.into_iter().map(|second| watch.may_lose(at(second), LOST_AFTER)).collect()
    }

    #[test]
    fn nobody_is_lost_before_a_node_has_looked_for_long_enough() {
        let mut watch = Watch::new(at(0));
        assert_eq!(looks(&mut watch, [15, 30, 45, 60, 75]), [false, false, false, true, true]);
    }

    #[test]
    fn while_the_database_was_away_nobody_was_marked_and_nobody_is_lost_by_it() {
        let mut watch = Watch::new(at(0));
        assert_eq!(looks(&mut watch, [15, 30, 45, 60]), [false, false, false, true]);
        watch.missed(at(62));
        assert_eq!(looks(&mut watch, [77, 92, 107, 121, 122]), [false, false, false, false, true]);
    }

    #[test]
    fn after_a_standstill_everybody_has_time_to_come_back() {
        let mut watch = Watch::new(at(0));
        assert_eq!(looks(&mut watch, [15, 30, 45, 60]), [false, false, false, true]);
        assert_eq!(looks(&mut watch, [300, 315, 330, 345, 360]), [false, false, false, false, true]);
    }
}

//! What other nodes have changed of tenants' plugins is loaded here.
//!
//! A revision counts the changes of each tenant. Whoever changes something loads it at once; every other
//! node does when it is told, or finds the revision higher when it looks. A swap is one for the tenant: no call
//! sees half of it. What does not load, as the machine is busy or the database away for a moment, is tried
//! again, less and less often.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use switchhook_protocol::id::TenantId;
use switchhook_storage::StorageError;
use tokio::time::Instant;

use super::load;
use crate::{app::App, limits};

/// What was loaded of each tenant.
#[derive(Debug, Default)]
pub(crate) struct Loaded(Mutex<BTreeMap<TenantId, OfTenant>>);

#[derive(Debug)]
struct OfTenant {
    /// The revision at which it was.
    revision: u64,
    /// When what did not load then is tried again, and the pause until there.
    again: Option<(Instant, Duration)>,
}

impl Loaded {
    /// Whether anything of a tenant was loaded.
    pub(crate) fn has(&self, tenant: &TenantId) -> bool {
        self.lock().contains_key(tenant)
    }

    /// Whether there is something to load.
    fn waits(&self, tenant: &TenantId, revision: u64, now: Instant) -> bool {
        self.lock().get(tenant).is_none_or(|known| {
            known.revision != revision || known.again.is_some_and(|(again, _)| again <= now)
        })
    }

    fn note(&self, tenant: TenantId, revision: u64, all: bool, now: Instant) {
        let mut tenants = self.lock();
        let before = tenants.get(&tenant).filter(|before| before.revision == revision);
        let pause = before.and_then(|before| before.again).map_or(limits::LOAD_PAUSE, |(_, pause)| pause * 2);
        let pause = pause.min(limits::LOAD_LONGEST_PAUSE);
        let again = (!all).then(|| (now + pause, pause));
        tenants.insert(tenant, OfTenant { revision, again });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TenantId, OfTenant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Loads every tenant that has changed since it was loaded here, or of which something did not load.
pub(crate) async fn reconcile(app: &App) -> Result<(), StorageError> {
    for (tenant, revision) in app.storage.plugin_revisions().await? {
        if app.plugins.loaded.waits(&tenant, revision, Instant::now()) {
            let _turn = app.plugins.turn().await;
            let all = load::tenant(app, &tenant).await?;
            // What was changed while it was loaded has a higher revision, and is loaded the next time.
            app.plugins.loaded.note(tenant, revision, all, Instant::now());
        }
    }
    Ok(())
}

/// Loads a tenant of which nothing was loaded yet: another node has just made it.
pub(crate) async fn known(app: &App, tenant: &TenantId) -> Result<(), StorageError> {
    if app.plugins.loaded.has(tenant) { Ok(()) } else { reconcile(app).await }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_load_is_tried_less_and_less_often_and_anew_when_it_is_changed() {
        let (loaded, tenant): (_, TenantId) = (Loaded::default(), "acme".parse().unwrap());
        let mut now = Instant::now();
        assert!(loaded.waits(&tenant, 1, now) && !loaded.has(&tenant));
        for seconds in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            loaded.note(tenant.clone(), 1, false, now);
            assert!(loaded.waits(&tenant, 2, now) && loaded.has(&tenant));
            assert!(!loaded.waits(&tenant, 1, now + Duration::from_secs(seconds - 1)));
            now += Duration::from_secs(seconds);
            assert!(loaded.waits(&tenant, 1, now));
        }

        loaded.note(tenant.clone(), 2, false, now);
        assert!(loaded.waits(&tenant, 2, now + limits::LOAD_PAUSE));
        loaded.note(tenant.clone(), 2, true, now);
        assert!(!loaded.waits(&tenant, 2, now + limits::LOAD_LONGEST_PAUSE));
    }
}

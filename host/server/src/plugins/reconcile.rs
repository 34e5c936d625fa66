//! What other nodes have changed of tenants' plugins is loaded here.
//!
//! A revision counts the changes of each tenant. Whoever changes something loads it at once; every other
//! node does when it is told, or finds the revision higher when it looks. A swap is one for the tenant: no call
//! sees half of it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use switchhook_protocol::id::TenantId;
use switchhook_storage::StorageError;

use super::load;
use crate::app::App;

/// The revision at which each tenant was loaded.
#[derive(Debug, Default)]
pub(crate) struct Loaded(Mutex<BTreeMap<TenantId, u64>>);

impl Loaded {
    /// Whether anything of a tenant was loaded.
    pub(crate) fn has(&self, tenant: &TenantId) -> bool {
        self.lock().contains_key(tenant)
    }

    fn is(&self, tenant: &TenantId, revision: u64) -> bool {
        self.lock().get(tenant) == Some(&revision)
    }

    fn note(&self, tenant: TenantId, revision: u64) {
        self.lock().insert(tenant, revision);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<TenantId, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Loads every tenant that has changed since it was loaded here.
pub(crate) async fn reconcile(app: &App) -> Result<(), StorageError> {
    for (tenant, revision) in app.storage.plugin_revisions().await? {
        if !app.plugins.loaded.is(&tenant, revision) {
            let _turn = app.plugins.turn().await;
            load::tenant(app, &tenant).await?;
            // What was changed while it was loaded has a higher revision, and is loaded the next time.
            app.plugins.loaded.note(tenant, revision);
        }
    }
    Ok(())
}

/// Loads a tenant of which nothing was loaded yet: another node has just made it.
pub(crate) async fn known(app: &App, tenant: &TenantId) -> Result<(), StorageError> {
    if app.plugins.loaded.has(tenant) { Ok(()) } else { reconcile(app).await }
}

//! What each plugin is granted, at hand for every call. The rows are the truth; whoever changes or
//! loads them tells this table.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use switchhook_core::policy::{Grants, Slot};
use switchhook_protocol::id::{MethodName, TenantId};

/// The grants of all tenants' plugins. A plugin that is not in it has none.
#[derive(Debug, Default)]
pub(crate) struct Granted(RwLock<BTreeMap<Key, Arc<Grants>>>);

type Key = (TenantId, Slot, MethodName);

impl Granted {
    /// The grants of a plugin.
    pub(crate) fn of(&self, tenant: &TenantId, slot: Slot, name: &MethodName) -> Arc<Grants> {
        let key = (tenant.clone(), slot, name.clone());
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned().unwrap_or_default()
    }

    /// Replaces them.
    pub(crate) fn put(&self, tenant: &TenantId, slot: Slot, name: &MethodName, grants: Grants) {
        let key = (tenant.clone(), slot, name.clone());
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::new(grants));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plug_4_a_plugin_has_the_grants_of_its_own_tenant_and_none_otherwise() {
        let granted = Granted::default();
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        let name: MethodName = "crm".parse().unwrap();
        let grants = Grants { key_value_bytes: 1024, ..Grants::default() };
        granted.put(&acme, Slot::InviteRouter, &name, grants.clone());

        assert_eq!(*granted.of(&acme, Slot::InviteRouter, &name), grants);
        assert_eq!(*granted.of(&acme, Slot::NatPolicy, &name), Grants::default());
        assert_eq!(*granted.of(&other, Slot::InviteRouter, &name), Grants::default());
    }
}

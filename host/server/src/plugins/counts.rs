//! What is counted about each plugin, for its tenant: calls by outcome, fuel, how long they took.
//!
//! In memory, since the start of this process; a bounded number of plugins.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;
use switchhook_core::policy::Slot;
use switchhook_protocol::id::TenantId;
use utoipa::ToSchema;

use crate::limits;

/// What is counted about one plugin.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub(crate) struct Counts {
    /// `answered`, or a failure's word.
    #[schema(value_type = BTreeMap<String, u64>)]
    calls: BTreeMap<&'static str, u64>,
    fuel: u64,
    duration_micros: Quantiles,
    #[serde(skip)]
    lately: Vec<u64>,
    #[serde(skip)]
    next: usize,
}

/// Of the latest calls.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
struct Quantiles {
    p50: u64,
    p99: u64,
}

/// The counts of all plugins.
#[derive(Debug, Default)]
pub(crate) struct AllCounts(Mutex<BTreeMap<(TenantId, Slot, String), Counts>>);

/// Calls of which the durations are kept.
const LATELY: usize = 256;

impl AllCounts {
    pub(super) fn count(
        &self,
        (tenant, slot, name): (&TenantId, Slot, &str),
        outcome: &'static str,
        (took, fuel): (Duration, u64),
    ) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (tenant.clone(), slot, name.to_owned());
        if all.len() >= limits::COUNTED_PLUGINS && !all.contains_key(&key) {
            return;
        }
        all.entry(key).or_default().count(outcome, crate::decisions::micros(took), fuel);
    }

    /// What was counted about a plugin.
    pub(crate) fn of(&self, tenant: &TenantId, slot: Slot, name: &str) -> Counts {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.get(&(tenant.clone(), slot, name.to_owned())).cloned().unwrap_or_default();
        drop(all);
        found.with_quantiles()
    }
}

impl Counts {
    fn count(&mut self, outcome: &'static str, micros: u64, fuel: u64) {
        *self.calls.entry(outcome).or_default() += 1;
        self.fuel = self.fuel.saturating_add(fuel);
        match self.lately.get_mut(self.next) {
            Some(oldest) => *oldest = micros,
            None => self.lately.push(micros),
        }
        self.next = (self.next + 1) % LATELY;
    }

    fn with_quantiles(mut self) -> Self {
        self.lately.sort_unstable();
        let at = |hundredths: usize| {
            let last = self.lately.len().saturating_sub(1);
            self.lately.get(last * hundredths / 100).copied().unwrap_or(0)
        };
        self.duration_micros = Quantiles { p50: at(50), p99: at(99) };
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plug_4_a_tenant_sees_how_its_own_plugin_fares() {
        let all = AllCounts::default();
        let (acme, other): (TenantId, TenantId) = ("acme".parse().unwrap(), "other".parse().unwrap());
        for micros in 1..=400 {
            let outcome = if micros == 400 { "trapped" } else { "answered" };
            all.count((&acme, Slot::InviteRouter, "hunt"), outcome, (Duration::from_micros(micros), 10));
        }
        let counts = all.of(&acme, Slot::InviteRouter, "hunt");
        assert_eq!(counts.calls, [("answered", 399), ("trapped", 1)].into());
        assert_eq!((counts.fuel, counts.duration_micros.p50), (4_000, 272));
        assert!(all.of(&other, Slot::InviteRouter, "hunt").calls.is_empty());
    }
}

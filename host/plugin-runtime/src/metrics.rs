//! What is counted about calls. No tenant stands in a label: tenants are many.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use switchhook_core::policy::Slot;

/// Counters of all calls of a [`Slots`](crate::Slots).
#[derive(Debug, Clone)]
pub struct Metrics {
    calls: Family<Outcome, Counter>,
    duration: Family<InSlot, Histogram, fn() -> Histogram>,
    fuel: Family<InSlot, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    slot: &'static str,
    /// `answered`, or the failure's word.
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InSlot {
    slot: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        // 2 µs to 65 ms.
        let histogram = || Histogram::new(exponential_buckets(2e-6, 2.0, 16));
        Self {
            calls: Family::default(),
            duration: Family::new_with_constructor(histogram),
            fuel: Family::default(),
        }
    }
}

impl Metrics {
    /// Makes them visible under `switchhook_plugin_…`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("switchhook_plugin_calls", "Calls of plugins, by outcome", self.calls.clone());
        registry.register_with_unit(
            "switchhook_plugin_call_duration",
            "Time of a call, waiting for an instance included",
            Unit::Seconds,
            self.duration.clone(),
        );
        registry.register("switchhook_plugin_fuel", "Fuel burned by plugins", self.fuel.clone());
    }

    pub(crate) fn count(&self, slot: Slot, outcome: &'static str, took: Duration, fuel: u64) {
        let slot = slot.as_str();
        self.calls.get_or_create(&Outcome { slot, outcome }).inc();
        self.duration.get_or_create(&InSlot { slot }).observe(took.as_secs_f64());
        self.fuel.get_or_create(&InSlot { slot }).inc_by(fuel);
    }
}

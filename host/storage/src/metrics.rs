//! What the writer says about itself.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use tokio::time::Instant;

/// The writer's metrics; clones show the same.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// From queueing to confirmation, by transaction.
    commit: Family<TransactionLabel, Histogram, fn() -> Histogram>,
    /// Jobs that were committed together.
    group: Histogram,
    /// Jobs that wait for the writer.
    queue: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransactionLabel {
    transaction: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            commit: Family::new_with_constructor(commit_histogram),
            group: Histogram::new(exponential_buckets(1.0, 2.0, 9)),
            queue: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Shows them in a registry.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("switchhook_storage");
        let help = "Time from queueing a transaction to its confirmation, by transaction";
        registry.register_with_unit("commit", help, Unit::Seconds, self.commit.clone());
        registry.register("group_jobs", "Transactions that were committed together", self.group.clone());
        registry.register("queue_jobs", "Transactions that wait for the writer", self.queue.clone());
    }

    pub(crate) fn committed(&self, transaction: &'static str, queued_at: Instant) {
        self.commit
            .get_or_create(&TransactionLabel { transaction })
            .observe(queued_at.elapsed().as_secs_f64());
    }

    pub(crate) fn group(&self, jobs: usize, waiting: usize) {
        self.group.observe(u32::try_from(jobs).unwrap_or(u32::MAX).into());
        self.queue.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }
}

/// 0.1 ms to 3.3 s: a commit alone takes some 0.3 ms, the longest wait 3 s.
fn commit_histogram() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 16))
}

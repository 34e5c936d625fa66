//! What plugins decided lately, for "what decided this?": bounded, in memory, without personal data.
//!
//! What they decided about a session is also kept with its rows, in the transaction of what it led to.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use switchhook_core::row::Decision;
use switchhook_protocol::{id::TenantId, time::Timestamp};
use utoipa::ToSchema;

use crate::limits;

/// One plugin call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Decision)]
pub struct DecisionRecord {
    /// Whose plugin.
    #[schema(value_type = String)]
    pub tenant: TenantId,
    /// Session or attempt that it decided about.
    pub subject: String,
    /// Its slot.
    pub slot: String,
    /// Its name; empty for the host's declared default.
    pub plugin: String,
    /// Its version.
    pub version: u32,
    /// What it decided, in a few words.
    pub outcome: String,
    /// Why the declared default counted instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// When.
    #[schema(value_type = u64)]
    pub at: Timestamp,
    /// How long the call took, in microseconds.
    pub micros: u64,
}

impl DecisionRecord {
    /// A decision about a session or an attempt.
    pub(crate) fn about(tenant: &TenantId, subject: &str, decision: Decision) -> Self {
        Self {
            tenant: tenant.clone(),
            subject: subject.to_owned(),
            slot: decision.slot.as_str().to_owned(),
            plugin: decision.plugin.map(|name| name.to_string()).unwrap_or_default(),
            version: decision.version,
            outcome: decision.outcome,
            failure: decision.failure,
            at: decision.at,
            micros: decision.micros,
        }
    }
}

/// The last decisions.
#[derive(Debug, Default)]
pub(crate) struct Decisions {
    last: Mutex<VecDeque<DecisionRecord>>,
}

impl Decisions {
    pub(crate) fn note(&self, record: DecisionRecord) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == limits::DECISIONS {
            last.pop_front();
        }
        last.push_back(record);
    }

    /// A tenant's decisions, about one subject or all, oldest first.
    pub(crate) fn of(&self, tenant: &TenantId, subject: Option<&str>) -> Vec<DecisionRecord> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = |record: &&DecisionRecord| {
            record.tenant == *tenant && subject.is_none_or(|subject| record.subject == subject)
        };
        last.iter().filter(wanted).cloned().collect()
    }
}

/// Whole microseconds.
pub(crate) fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

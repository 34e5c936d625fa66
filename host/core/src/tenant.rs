//! What a tenant has set for itself: one row.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use switchhook_protocol::registration::RegisterAgain;

use crate::{
    limits::OwnLimits,
    may_ring::RingRule,
    registration::{elsewhere::ProvenElsewhere, test_number::TestNumber},
};

/// A tenant's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TenantSettings {
    /// How much its devices may do.
    pub limits: OwnLimits,
    /// Who may ring whom; empty: everybody everybody.
    pub may_ring: Vec<RingRule>,
    /// When its devices register again by themselves (REG-13).
    pub register_again: RegisterAgain,
    /// What becomes of an identifier that another device proves.
    pub proven_elsewhere: ProvenElsewhere,
    /// Numbers with a fixed code, to which no text is sent.
    pub test_numbers: Vec<TestNumber>,
    /// What this version does not know: kept, since a node of a later version may have stored it.
    #[serde(flatten)]
    pub unknown: Map<String, Value>,
}

impl TenantSettings {
    /// What counts where the stored ones cannot be read: nobody rings anybody, as they may say who must not.
    pub fn unreadable() -> Self {
        Self { may_ring: alloc::vec![RingRule::nobody()], ..Self::default() }
    }
}

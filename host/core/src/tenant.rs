//! What a tenant has set for itself: one row.

use serde::{Deserialize, Serialize};

use crate::limits::OwnLimits;

/// A tenant's settings. What a later version has added is passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TenantSettings {
    /// How much its devices may do.
    pub limits: OwnLimits,
}

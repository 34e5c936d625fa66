//! Versions of plugins.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};
use switchhook_protocol::time::Timestamp;

use crate::policy::Slot;

/// One version of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginVersion {
    /// What it decides.
    pub slot: Slot,
    /// Its name within the slot.
    pub name: String,
    /// Counts its uploads, from 1.
    pub version: u32,
    /// SHA-256 of its component, or of its webhook's description.
    pub digest: [u8; 32],
    /// Of the component, in bytes.
    pub size: u64,
    /// A webhook's address and secret, sealed; none for a component.
    pub webhook: Option<Vec<u8>>,
    /// When.
    pub uploaded_at: Timestamp,
    /// By whom: a token's label.
    pub uploaded_by: String,
    /// What the host found, as JSON.
    pub report: String,
    /// Whether it is asked.
    pub state: VersionState,
    /// When it was activated last, as a count of the tenant's activations; 0: never.
    pub activated: u64,
    /// The tenant's configuration, as the plugin wants it.
    pub configuration: String,
}

/// Whether a version is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VersionState {
    /// Nobody asks it.
    Inactive,
    /// New sessions and attempts ask it.
    Active,
    /// Only attempts that began with it ask it.
    Draining,
    /// It was taken back; attempts that began with it get the declared default.
    Killed,
}

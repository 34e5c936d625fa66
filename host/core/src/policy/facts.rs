//! What a plugin may look up, beside what each call is given.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::fmt;

use serde::{Deserialize, Serialize};
use switchhook_protocol::endpoint::EndpointId;

use super::json;
use crate::transit::conversion::{Conversion, prefix};

/// Rare and growing facts that a plugin may ask for, loaded before the call.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    /// How many devices hold an identifier; none where it is missing.
    pub devices: BTreeMap<EndpointId, u8>,
    /// The tenant's key-value pairs, as they were when the call began; empty without the grant.
    #[serde(with = "json::pairs")]
    pub pairs: BTreeMap<String, Vec<u8>>,
    /// What the attempt's profile and the user directory say of addresses; unknown where one is missing.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub addresses: BTreeMap<EndpointId, Standing>,
    /// How texts to numbers of an event have lately fared, by their [`prefix`]; none were sent where one is missing.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub conversions: BTreeMap<String, Conversion>,
}

impl Facts {
    /// How texts to numbers that begin as this one have lately fared; of what is no number, and of none of the
    /// event's, as if none were sent.
    pub fn conversion_of(&self, number: &EndpointId) -> Conversion {
        let known = prefix(number).and_then(|prefix| self.conversions.get(prefix));
        known.copied().unwrap_or_default()
    }
}

/// What is known of an address: the profile is asked first, the directory second (REG-7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Nothing.
    #[default]
    Unknown,
    /// The profile has been asked to validate it, and it is not yet.
    Asked,
    /// Its user said no.
    Declined,
    /// The profile knows it as validated.
    Validated,
    /// The profile does not, and the user directory does.
    ValidatedByDirectory,
}

/// Prints no pair: what a tenant keeps may be personal.
impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Facts({:?}, {} pairs)", self.devices, self.pairs.len())
    }
}

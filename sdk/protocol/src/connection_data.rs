//! Connection data: who a device is on the network (NAT-1).
//!
//! What CDX *observed* travels as sealed observations that only the host opens; what the device
//! *claims* is marked as such by standing in [`Claims`]. A verdict never rests on a claim that an
//! observation contradicts.

use alloc::{string::String, vec::Vec};
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// How a NAT maps, RFC 4787 §4.1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mapping {
    /// There is no NAT.
    None,
    /// One mapping for all destinations: a cone.
    EndpointIndependent,
    /// One mapping for each destination address.
    AddressDependent,
    /// One mapping for each destination address and port: symmetric.
    AddressAndPortDependent,
    /// Not known.
    #[default]
    Unknown,
}

/// What a NAT lets in, RFC 4787 §5.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filtering {
    /// There is no filter.
    None,
    /// Anybody, once there is a mapping: a full cone.
    EndpointIndependent,
    /// Addresses that were sent to: a restricted cone.
    AddressDependent,
    /// Addresses and ports that were sent to: a port-restricted cone.
    AddressAndPortDependent,
    /// Not known; one address of CDX cannot tell.
    #[default]
    Unknown,
}

/// What kind of address a candidate is, RFC 8445 §5.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CandidateKind {
    /// An address of the device itself.
    Host,
    /// An address that CDX observed.
    Reflexive,
    /// An address at a relay.
    Relayed,
}

/// An address where a device may be reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Candidate {
    /// What kind of address it is.
    pub kind: CandidateKind,
    /// The address.
    pub address: SocketAddr,
    /// Larger is tried first.
    pub priority: u32,
}

/// What the device says of itself, unproven.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// How its NAT maps, if it measured that.
    #[serde(default)]
    pub mapping: Mapping,
    /// What its NAT lets in, if it measured that (RFC 5780).
    #[serde(default)]
    pub filtering: Filtering,
    /// Addresses of its own; none if it offers none.
    #[serde(default)]
    pub host_candidates: Vec<Candidate>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// What a client sends with invite and accept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionData {
    /// Observations sealed by CDX, one for each of its ports that was asked.
    #[serde(default)]
    pub observed: Vec<String>,
    /// What the device says of itself.
    #[serde(default)]
    pub claimed: Claims,
}

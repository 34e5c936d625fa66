//! What a client finds out about the NAT before it (NAT-1): how that maps, what it lets in, and how long it keeps a mapping
//! that nothing is sent over.
//!
//! [`Client::survey`](crate::Client::survey) looks once the client is connected, and again when it has connected anew or a
//! call has noticed other addresses of the device: beside the calls, and never for the sake of one. CDX is asked as a
//! STUN server (RFC 5780), from sockets of their own, in at most some sixty datagrams of less than 100 bytes:
//!
//! - [how the NAT maps](behaviour): both ports of CDX, and its other address if it has one, say where they see one socket;
//! - what it lets in: CDX is asked to answer from its other port, and from its other address;
//! - [how long it keeps a mapping](life): sockets wait, each longer than the one before, and then another one has CDX
//!   answer to where they were seen.
//!
//! A CDX with one address cannot tell all: then [`Mapping::PortIndependent`] and [`Filtering::PortIndependent`] say what is
//! left open. What is found goes to the host with the device's connection data, as a claim, and what could not be told is not
//! claimed. A call that carries nothing asks its path as seldom as the mapping's life allows.

mod behaviour;
mod known;
mod life;
mod question;
mod sockets;
mod survey;

use core::net::IpAddr;

use switchhook_protocol::connection_data::{
    Claims, Filtering as ClaimedFiltering, Mapping as ClaimedMapping,
};

pub(crate) use self::known::Networks;
pub use self::life::MappingLife;

/// The network that a device is in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Surroundings {
    /// The device's own addresses there.
    pub addresses: Vec<IpAddr>,
    /// What stands between them and the internet.
    pub nat: Nat,
    /// How long that keeps a mapping; none as long as it is not measured, and where it cannot be.
    pub mapping_life: Option<MappingLife>,
}

/// What stands between a device and the internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Nat {
    /// At which address CDX sees the device; none if no datagram comes back.
    pub external: Option<IpAddr>,
    /// When two destinations see one address and port.
    pub mapping: Mapping,
    /// Who may come in.
    pub filtering: Filtering,
}

/// How a NAT maps (RFC 4787 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mapping {
    /// There is no NAT: CDX sees an address of the device's own.
    None,
    /// One mapping for all destinations.
    EndpointIndependent,
    /// One mapping for all ports of a destination. Whether for all addresses, too, a CDX with one address cannot tell.
    PortIndependent,
    /// One mapping for each destination address.
    AddressDependent,
    /// One mapping for each destination address and port.
    AddressAndPortDependent,
    /// Not known: CDX has not answered at both its ports.
    Unknown,
}

/// What a NAT, or a firewall, lets in (RFC 4787 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Filtering {
    /// Anybody, once there is a mapping.
    EndpointIndependent,
    /// Every port of an address that was sent to. Whether other addresses, too, a CDX with one address cannot tell.
    PortIndependent,
    /// Addresses that were sent to.
    AddressDependent,
    /// Addresses and ports that were sent to.
    AddressAndPortDependent,
    /// Not known.
    Unknown,
}

/// The kinds of NAT by their old names, of which each says less than [`Nat`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NatKind {
    /// No NAT, and everybody may come in.
    Open,
    /// One mapping, and everybody may come in.
    FullCone,
    /// One mapping, and addresses that were sent to may come in.
    RestrictedCone,
    /// One of both: a CDX with one address cannot tell which.
    FullOrRestrictedCone,
    /// One mapping, or none, and addresses and ports that were sent to may come in.
    PortRestrictedCone,
    /// Another mapping for another destination.
    Symmetric,
    /// No datagram comes back from CDX.
    Closed,
    /// Something comes back, and not enough to tell.
    Unknown,
}

impl Nat {
    /// Nothing comes back.
    const CLOSED: Self = Self { external: None, mapping: Mapping::Unknown, filtering: Filtering::Unknown };

    /// Its old name.
    pub const fn kind(&self) -> NatKind {
        match (self.mapping, self.filtering) {
            _ if self.external.is_none() => NatKind::Closed,
            (Mapping::AddressDependent | Mapping::AddressAndPortDependent, _) => NatKind::Symmetric,
            (Mapping::Unknown, _) | (_, Filtering::Unknown) => NatKind::Unknown,
            (Mapping::None, Filtering::EndpointIndependent) => NatKind::Open,
            (_, Filtering::EndpointIndependent) => NatKind::FullCone,
            (_, Filtering::PortIndependent) => NatKind::FullOrRestrictedCone,
            (_, Filtering::AddressDependent) => NatKind::RestrictedCone,
            (_, Filtering::AddressAndPortDependent) => NatKind::PortRestrictedCone,
        }
    }

    /// Says so to the host, as far as it is known.
    fn claim(&self, claims: &mut Claims) {
        claims.mapping = match self.mapping {
            Mapping::None => ClaimedMapping::None,
            Mapping::EndpointIndependent => ClaimedMapping::EndpointIndependent,
            Mapping::AddressDependent => ClaimedMapping::AddressDependent,
            Mapping::AddressAndPortDependent => ClaimedMapping::AddressAndPortDependent,
            Mapping::PortIndependent | Mapping::Unknown => ClaimedMapping::Unknown,
        };
        claims.filtering = match self.filtering {
            Filtering::EndpointIndependent => ClaimedFiltering::EndpointIndependent,
            Filtering::AddressDependent => ClaimedFiltering::AddressDependent,
            Filtering::AddressAndPortDependent => ClaimedFiltering::AddressAndPortDependent,
            Filtering::PortIndependent | Filtering::Unknown => ClaimedFiltering::Unknown,
        };
    }
}

#[cfg(test)]
mod tests;

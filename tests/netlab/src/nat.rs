//! The NATs of the lab, in the words of RFC 4787.

use std::{fmt, str::FromStr, time::Duration};

use anyhow::{Error, bail};

use crate::translator::{Behaviour, Ports};

/// When an inside socket gets one and the same outer address (RFC 4787 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mapping {
    /// For every destination.
    EndpointIndependent,
    /// For every port of one address.
    AddressDependent,
    /// For one address and port.
    AddressAndPortDependent,
}

/// From whom a mapping lets in (RFC 4787 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Filtering {
    /// From everybody.
    EndpointIndependent,
    /// From addresses that were sent to.
    AddressDependent,
    /// From addresses and ports that were sent to.
    AddressAndPortDependent,
}

/// What stands between a site and the internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Nat {
    /// Nothing: the host has a public address.
    None,
    /// One mapping, open to everybody.
    FullCone,
    /// One mapping, open to addresses that were sent to.
    RestrictedCone,
    /// One mapping, open to addresses and ports that were sent to.
    PortRestricted,
    /// Linux masquerading, and nobody but answers let in.
    Masquerade,
    /// Linux masquerading on a gateway whose own ports are open to the internet.
    OpenMasquerade,
    /// A mapping for each address, open to it.
    AddressDependent,
    /// A mapping for each address and port, open to it, with a random port.
    Symmetric,
    /// The same with one port after the other.
    SymmetricSequential,
    /// A mapping for each address and port, with a random port, open to everybody.
    SymmetricOpen,
    /// Linux masquerading with a random port for each address and port.
    RandomMasquerade,
    /// Masquerading for TCP; no UDP.
    NoUdp,
    /// Masquerading for TCP to port 443; nothing else.
    HttpsOnly,
}

/// How a gateway does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Means {
    /// There is no gateway.
    Nothing,
    /// The kernel translates, by these nftables statements.
    Kernel(KernelRules),
    /// The lab's own translator.
    Translator(Behaviour),
}

/// What differs among the kernel's NATs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KernelRules {
    /// How masquerading chooses ports.
    pub(crate) masquerade: &'static str,
    /// What becomes of what comes from outside and is nobody's answer.
    pub(crate) unasked: &'static str,
    /// What may not go out.
    pub(crate) forbidden: &'static str,
}

/// Longer than any test; tests of the end of a mapping put the clock forward.
const MAPPING_LIFE: Duration = Duration::from_mins(2);

const MASQUERADE: KernelRules = KernelRules { masquerade: "masquerade", unasked: "drop", forbidden: "" };

const NOT_HTTPS: &str = "iifname lan meta l4proto != tcp drop; iifname lan tcp dport != 443 drop";

impl Nat {
    /// All kinds, in the order in which the table of `docs/NAT.md` shows them.
    pub const ALL: [Self; 13] = [
        Self::None,
        Self::FullCone,
        Self::RestrictedCone,
        Self::PortRestricted,
        Self::Masquerade,
        Self::OpenMasquerade,
        Self::AddressDependent,
        Self::Symmetric,
        Self::SymmetricSequential,
        Self::SymmetricOpen,
        Self::RandomMasquerade,
        Self::NoUdp,
        Self::HttpsOnly,
    ];

    /// As `docs/NAT.md` calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::FullCone => "full-cone",
            Self::RestrictedCone => "restricted-cone",
            Self::PortRestricted => "port-restricted",
            Self::Masquerade => "masquerade",
            Self::OpenMasquerade => "open-masquerade",
            Self::AddressDependent => "address-dependent",
            Self::Symmetric => "symmetric",
            Self::SymmetricSequential => "symmetric-sequential",
            Self::SymmetricOpen => "symmetric-open",
            Self::RandomMasquerade => "random-masquerade",
            Self::NoUdp => "no-udp",
            Self::HttpsOnly => "https-only",
        }
    }

    /// What an independent client must find out about it; nothing where no UDP gets through.
    pub const fn behaviour(self) -> Option<(Mapping, Filtering)> {
        match self {
            Self::None | Self::FullCone => {
                Some((Mapping::EndpointIndependent, Filtering::EndpointIndependent))
            }
            Self::RestrictedCone => Some((Mapping::EndpointIndependent, Filtering::AddressDependent)),
            // Linux keeps the port where it can, and remembers each pair of sockets by itself.
            Self::PortRestricted | Self::Masquerade | Self::OpenMasquerade => {
                Some((Mapping::EndpointIndependent, Filtering::AddressAndPortDependent))
            }
            Self::AddressDependent => Some((Mapping::AddressDependent, Filtering::AddressDependent)),
            Self::Symmetric | Self::SymmetricSequential | Self::RandomMasquerade => {
                Some((Mapping::AddressAndPortDependent, Filtering::AddressAndPortDependent))
            }
            Self::SymmetricOpen => Some((Mapping::AddressAndPortDependent, Filtering::EndpointIndependent)),
            Self::NoUdp | Self::HttpsOnly => None,
        }
    }

    pub(crate) const fn means(self) -> Means {
        match self {
            Self::None => Means::Nothing,
            Self::Masquerade => Means::Kernel(MASQUERADE),
            Self::OpenMasquerade => Means::Kernel(KernelRules { unasked: "accept", ..MASQUERADE }),
            Self::RandomMasquerade => {
                Means::Kernel(KernelRules { masquerade: "masquerade fully-random", ..MASQUERADE })
            }
            Self::NoUdp => Means::Kernel(KernelRules { forbidden: "meta l4proto udp drop", ..MASQUERADE }),
            Self::HttpsOnly => Means::Kernel(KernelRules { forbidden: NOT_HTTPS, ..MASQUERADE }),
            Self::FullCone | Self::RestrictedCone | Self::PortRestricted => self.translated(Ports::Preserved),
            Self::SymmetricSequential => self.translated(Ports::Sequential),
            Self::AddressDependent | Self::Symmetric | Self::SymmetricOpen => self.translated(Ports::Random),
        }
    }

    const fn translated(self, ports: Ports) -> Means {
        let Some((mapping, filtering)) = self.behaviour() else { return Means::Nothing };
        Means::Translator(Behaviour { mapping, filtering, ports, hairpin: false, life: MAPPING_LIFE })
    }
}

impl fmt::Display for Nat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Nat {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let Some(nat) = Self::ALL.into_iter().find(|nat| nat.name() == name) else {
            bail!("the lab has no NAT {name}");
        };
        Ok(nat)
    }
}

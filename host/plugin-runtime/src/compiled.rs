//! A plugin that is ready to be called.

use std::{fmt, sync::Arc};

use sha2::{Digest as _, Sha256};
use switchhook_core::policy::{Description, Slot};

use crate::{
    bindings::v0_1::{nat, registration, router},
    call::Call,
};

/// SHA-256 of a component.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

/// A plugin that is ready to be called, in the slot whose contract it keeps. Cheap to clone.
#[derive(Clone)]
pub struct Compiled(Arc<Inner>);

struct Inner {
    digest: Digest,
    description: Description,
    guest: Guest,
}

/// Linked, by slot and version of the contract.
#[derive(Clone)]
pub(crate) enum Guest {
    Registration(registration::Pre<Call>),
    Nat(nat::Pre<Call>),
    Router(router::Pre<Call>),
}

impl Compiled {
    pub(crate) fn new(digest: Digest, description: Description, guest: Guest) -> Self {
        Self(Arc::new(Inner { digest, description, guest }))
    }

    /// What it says about itself.
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// SHA-256 of its bytes.
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// Where it belongs.
    pub fn slot(&self) -> Slot {
        match self.0.guest {
            Guest::Registration(_) => Slot::RegistrationMethod,
            Guest::Nat(_) => Slot::NatPolicy,
            Guest::Router(_) => Slot::InviteRouter,
        }
    }

    pub(crate) fn guest(&self) -> &Guest {
        &self.0.guest
    }
}

impl Digest {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

/// Functions that a component of this slot exports.
pub(crate) const fn exports(slot: Slot) -> &'static [&'static str] {
    match slot {
        Slot::RegistrationMethod => &["describe", "validate-config", "claim", "step"],
        Slot::NatPolicy => &["describe", "validate-config", "decide"],
        Slot::InviteRouter => &["describe", "validate-config", "route"],
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Compiled({} {}, {})", self.0.description.name, self.0.description.version, self.slot())
    }
}

//! A plugin that is ready to be called.

use std::{fmt, sync::Arc};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};
use switchhook_core::policy::{Description, Slot};

use crate::{
    bindings::v0_1::{nat, registration, router},
    call::Call,
    contract::Class,
    webhook::Transport,
};

/// SHA-256 of a component; hexadecimal in JSON.
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

/// Who answers, by slot and version of the contract.
#[derive(Clone)]
pub(crate) enum Guest {
    Registration(Answerer<registration::Pre<Call>>),
    Nat(Answerer<nat::Pre<Call>>),
    Router(Answerer<router::Pre<Call>>),
}

/// A component, linked, or a webhook.
#[derive(Clone)]
pub(crate) enum Answerer<P> {
    Component(Linked<P>),
    Webhook(Arc<dyn Transport>),
}

/// What instances are made of, in the engine of a class.
#[derive(Clone)]
pub(crate) struct Linked<P> {
    pub(crate) class: Class,
    pub(crate) pre: P,
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

    /// A webhook, in the slot that it serves.
    pub fn webhook(
        digest: Digest,
        description: Description,
        slot: Slot,
        transport: Arc<dyn Transport>,
    ) -> Self {
        let guest = match slot {
            Slot::RegistrationMethod => Guest::Registration(Answerer::Webhook(transport)),
            Slot::NatPolicy => Guest::Nat(Answerer::Webhook(transport)),
            Slot::InviteRouter => Guest::Router(Answerer::Webhook(transport)),
        };
        Self::new(digest, description, guest)
    }

    pub(crate) fn guest(&self) -> &Guest {
        &self.0.guest
    }
}

impl<P> Answerer<P> {
    pub(crate) const fn component(class: Class, pre: P) -> Self {
        Self::Component(Linked { class, pre })
    }
}

impl Digest {
    /// Of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hexadecimal = String::deserialize(deserializer)?;
        let bytes = HEXLOWER.decode(hexadecimal.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| D::Error::custom("not 64 hexadecimal digits"))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
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

//! A device proves an identifier that reaches others already: whether they keep it, and whether they hear of it (REG-11).
//!
//! A number that changes hands looks to the host like a second device of the same person: both prove it by the texts that
//! they get. So the tenant says what it takes it for. Devices that speak for one profile are one user's, and none of
//! this concerns them.

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    endpoint::EndpointId,
    event::{Event, RegisteredElsewhere},
    id::DeviceId,
    time::Timestamp,
};

use super::notice;
use crate::row::Write;

/// What becomes of an identifier on devices that have it, when another proves it: the tenant's setting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProvenElsewhere {
    /// It reaches all of them, and those that had it are told.
    #[default]
    Tell,
    /// It reaches all of them, and nobody is told.
    Share,
    /// It reaches the one that proved it last; those that had it are told.
    Move,
}

impl ProvenElsewhere {
    /// Whether those that had the identifier hear of it.
    pub const fn tells(self) -> bool {
        match self {
            Self::Tell | Self::Move => true,
            Self::Share => false,
        }
    }

    /// Whether the identifier still reaches those that had it.
    pub const fn keeps(self) -> bool {
        match self {
            Self::Tell | Self::Share => true,
            Self::Move => false,
        }
    }

    /// Tells a device that had the identifier.
    pub fn tell(
        self,
        device: DeviceId,
        endpoint: &EndpointId,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Write {
        let word = RegisteredElsewhere { endpoint: endpoint.clone(), kept: self.keeps() };
        notice::message(device, &Event::RegisteredElsewhere(word), now, rng)
    }
}

/// Devices of an identifier that one more proof of it concerns, those that proved it last: a person has fewer, and one
/// proof is to write a bounded number of messages.
pub const OTHERS: u32 = 64;

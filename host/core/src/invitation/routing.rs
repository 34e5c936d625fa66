//! What is fixed about the ringing of a session, sealed into its row.
//!
//! Whoever rings a device later (a new plan's waves, a device that comes late) needs it when the inviter may
//! sleep and the node that began may be dead. How the ringing of each invited user goes on is that
//! user's own [`Course`](super::course::Course).

use alloc::{string::String, vec::Vec};

use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    endpoint::EndpointId,
    invitation::{Invite, TakeMode},
    peer::SessionKey,
};

use crate::{
    network::NetworkFacts,
    row::Session,
    seal::{KeyRing, Purpose},
    ticket::MediaKey,
};

/// What whoever rings a device of the session needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routing {
    /// What the inviter asked for.
    pub asked: Asked,
    /// Who the inviter is on the network.
    pub network: NetworkFacts,
    /// Of the session.
    pub media_key: MediaKey,
}

/// What an invite asks for, without the connection data that the host has read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Whom to ring.
    pub invited: Vec<EndpointId>,
    /// The inviter's identifier.
    pub from: EndpointId,
    /// What the session is for.
    pub purpose: String,
    /// What rung devices show.
    pub display_name: String,
    /// The inviter's key for the session's datagrams.
    pub session_key: SessionKey,
    /// Who chooses among the devices that accept.
    pub take: TakeMode,
}

impl From<&Invite> for Asked {
    fn from(invite: &Invite) -> Self {
        Self {
            invited: invite.invited.clone(),
            from: invite.from.clone(),
            purpose: invite.purpose.clone(),
            display_name: invite.display_name.clone(),
            session_key: invite.session_key.clone(),
            take: invite.take,
        }
    }
}

impl Routing {
    /// Of a new session.
    pub fn new(asked: Asked, network: NetworkFacts, rng: &mut impl CryptoRng) -> Self {
        Self { asked, network, media_key: MediaKey::mint(rng) }
    }

    /// Opens what the session's row has; none if its key is forgotten.
    pub fn of(session: &Session, keys: &KeyRing) -> Option<Self> {
        session.routing.as_deref().and_then(|sealed| keys.open(Purpose::Routing, sealed).ok())
    }

    /// Seals it for the session's row.
    pub fn seal(&self, keys: &KeyRing, rng: &mut impl CryptoRng) -> String {
        keys.seal(Purpose::Routing, self, rng)
    }
}

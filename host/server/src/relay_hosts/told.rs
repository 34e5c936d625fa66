//! What a relay host apart and a node tell each other, as JSON over HTTPS.

use std::{fmt, net::IpAddr};

use serde::{Deserialize, Serialize};
use switchhook_core::{
    relay_host::{RelayAddresses, Said},
    relay_peers::AddressRange,
    seal::{KeyRing, SealError},
};
use switchhook_protocol::{
    id::{DeviceId, RelayHostId, SessionId, TenantId},
    time::Timestamp,
};
use switchhook_relay::Participant;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::http::admin::schemas;

/// What a relay host says of itself, every two seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RelayHostBeat)]
pub(crate) struct Beat {
    /// Where it stands.
    pub(crate) region: String,
    /// Networks that it is near to, as `198.51.100.0/24`.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub(crate) near: Vec<AddressRange>,
    #[schema(value_type = schemas::RelayAddresses)]
    pub(crate) addresses: RelayAddresses,
    /// Allocations that it can hold.
    pub(crate) capacity: u32,
    /// Allocations that it holds.
    pub(crate) held: u32,
    /// It ends as soon as nobody uses it any more.
    #[serde(default)]
    pub(crate) leaving: bool,
    /// `as_of` of the last answer that it has taken in.
    #[schema(value_type = u64)]
    pub(crate) knows_until: Timestamp,
}

/// What a relay host is told.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = RelayHostOrders)]
pub(crate) struct Orders {
    /// Its id: that of its token.
    #[schema(value_type = String)]
    pub(crate) host: RelayHostId,
    /// The TURN realm.
    pub(crate) realm: String,
    /// Its own keys, with which tokens are made for it.
    keys: String,
    /// Addresses from which the other relay hosts relay.
    #[schema(value_type = Vec<String>)]
    pub(crate) peers: Vec<IpAddr>,
    /// When this was true, by the node's clock, in milliseconds since 1970.
    #[schema(value_type = u64)]
    pub(crate) as_of: Timestamp,
}

/// Who holds allocations: at most 200 in one request.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = RelayedParticipants)]
pub(crate) struct Relayed {
    pub(crate) participants: Vec<RelayedOne>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RelayedParticipant)]
pub(crate) struct RelayedOne {
    #[schema(value_type = String)]
    pub(crate) tenant: TenantId,
    #[schema(value_type = String)]
    pub(crate) session: SessionId,
    #[schema(value_type = String)]
    pub(crate) device: DeviceId,
}

/// Those of them that take part no more.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = GoneParticipants)]
pub(crate) struct Gone {
    pub(crate) gone: Vec<RelayedOne>,
}

impl From<Beat> for Said {
    fn from(beat: Beat) -> Self {
        let Beat { region, near, addresses, capacity, held, leaving, knows_until } = beat;
        Self { region, near, addresses, capacity, held, leaving, knows_until }
    }
}

impl From<Said> for Beat {
    fn from(said: Said) -> Self {
        let Said { region, near, addresses, capacity, held, leaving, knows_until } = said;
        Self { region, near, addresses, capacity, held, leaving, knows_until }
    }
}

impl From<Participant> for RelayedOne {
    fn from(Participant { tenant, session, device }: Participant) -> Self {
        Self { tenant, session, device }
    }
}

impl From<RelayedOne> for Participant {
    fn from(RelayedOne { tenant, session, device }: RelayedOne) -> Self {
        Self { tenant, session, device }
    }
}

impl Orders {
    pub(crate) fn new(
        (host, realm): (RelayHostId, &str),
        keys: &KeyRing,
        (peers, as_of): (Vec<IpAddr>, Timestamp),
    ) -> Self {
        let keys = keys.reveal().as_str().to_owned();
        Self { host, realm: realm.to_owned(), keys, peers, as_of }
    }

    /// The host's own keys.
    pub(crate) fn keys(&self) -> Result<KeyRing, SealError> {
        KeyRing::read(&self.keys)
    }
}

impl Drop for Orders {
    fn drop(&mut self) {
        drop(Zeroizing::new(std::mem::take(&mut self.keys)));
    }
}

impl fmt::Debug for Orders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Orders").field("host", &self.host).finish_non_exhaustive()
    }
}

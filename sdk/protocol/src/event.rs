//! Events: the durable kinds, which go through the device's mailbox (PUSH-4).

use alloc::{string::String, vec::Vec};
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{
    endpoint::EndpointId,
    exchange::PeerElsewhere,
    id::{AttemptId, Epoch, MessageId, SessionId},
    invitation::{Accepted, RungDevice, StopReason, UserOutcome},
    peer::Peer,
    relay::RelayCredentials,
    session::{Answered, Renewed, SessionAsked, SessionChanged, SessionRefused},
};

/// One message of a mailbox, as it arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// Position in the mailbox, from 1, below 2⁵³.
    pub seq: u64,
    /// The mailbox's incarnation.
    pub epoch: Epoch,
    /// The same on every delivery and every channel.
    pub message_id: MessageId,
    /// It was sent on a connection before.
    pub redelivered: bool,
    /// How long it still counts, in milliseconds, computed at this delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in_ms: Option<u64>,
    /// What it says.
    #[serde(flatten)]
    pub event: Event,
}

/// What a mailbox carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "body", rename_all = "kebab-case")]
pub enum Event {
    /// Ring (INV-2). `expires_in_ms` is the ring's lease.
    Invite(Rung),
    /// Somebody accepted (INV-5); also after a failed direct attempt (NAT-4).
    Accept(Accepted),
    /// One device declined (INV-4).
    Decline(Declined),
    /// A device's ringer has begun.
    Ringing(PeerRinging),
    /// Stop ringing (INV-6, INV-17).
    Cancel(CancelRing),
    /// The inviter has taken this device, whose accept waited for that (INV-6).
    Taken(DeviceTaken),
    /// What became of one invited user without an accept (INV-4).
    Outcome(Outcome),
    /// The routing went on after busy, a decline or no answer (INV-3).
    Rerouted(Rerouted),
    /// The other side is elsewhere on the network (NAT-5).
    ConnectionData(PeerElsewhere),
    /// The relay for this session, asked for by the other side (REL-2).
    RelayResponse(RelayGiven),
    /// Where the relay put the other side (REL-4).
    RelayUpdate(PeerRelayed),
    /// Another device of this user answered (INV-7).
    InviteUpdate(Answered),
    /// A session has changed, or is over (INV-8).
    SessionUpdate(SessionChanged),
    /// Another device of this user asks for the session (INV-18).
    SessionAsked(SessionAsked),
    /// Who has the session that this device asked for keeps it (INV-18).
    SessionRefused(SessionRefused),
    /// A registration under way has a word for this device: `validated` (REG-8).
    Notice(Notice),
    /// A registration under way asks this device's user for more.
    Asked(AskedFor),
    /// Another device has proven an identifier that reaches this one (REG-11).
    RegisteredElsewhere(RegisteredElsewhere),
}

impl Event {
    /// The word of its kind on the wire.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Invite(_) => "invite",
            Self::Accept(_) => "accept",
            Self::Decline(_) => "decline",
            Self::Ringing(_) => "ringing",
            Self::Cancel(_) => "cancel",
            Self::Taken(_) => "taken",
            Self::Outcome(_) => "outcome",
            Self::Rerouted(_) => "rerouted",
            Self::ConnectionData(_) => "connection-data",
            Self::RelayResponse(_) => "relay-response",
            Self::RelayUpdate(_) => "relay-update",
            Self::InviteUpdate(_) => "invite-update",
            Self::SessionUpdate(_) => "session-update",
            Self::SessionAsked(_) => "session-asked",
            Self::SessionRefused(_) => "session-refused",
            Self::Notice(_) => "notice",
            Self::Asked(_) => "asked",
            Self::RegisteredElsewhere(_) => "registered-elsewhere",
        }
    }
}

/// An invite, as a rung device gets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    /// The session.
    pub session: SessionId,
    /// This device's ticket; echo it.
    pub ticket: String,
    /// Who invites.
    pub inviter: Peer,
    /// Which of this device's identifiers is invited.
    pub invited: EndpointId,
    /// The inviter's connection data, sealed; echo it in accept.
    pub inviter_connection_data: String,
    /// What the session is for.
    pub purpose: String,
    /// What to show.
    pub display_name: String,
}

/// One device declined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declined {
    /// The session.
    pub session: SessionId,
    /// Which device.
    pub alias: String,
    /// Which of the invited it belongs to.
    pub endpoint: EndpointId,
    /// Its word.
    pub reason: String,
}

/// One device rings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRinging {
    /// The session.
    pub session: SessionId,
    /// Which device.
    pub alias: String,
    /// Which of the invited it belongs to.
    pub endpoint: EndpointId,
}

/// Stop ringing, and confirm by `stopped` when the ringer has really stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancelRing {
    /// The session.
    pub session: SessionId,
    /// Why.
    pub reason: StopReason,
}

/// The inviter has taken this device; or, to the inviter, what it goes on with towards a device that it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceTaken {
    /// The session.
    pub session: SessionId,
    /// What the receiver goes on with if somebody has left since the accept; the inviter hears of nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewed: Option<Renewed>,
}

/// What became of one invited user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The session.
    pub session: SessionId,
    /// Which of the invited.
    pub endpoint: EndpointId,
    /// What became of it.
    pub outcome: UserOutcome,
    /// The router's word for it, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
}

/// The routing went on: more devices ring, or some again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rerouted {
    /// The session.
    pub session: SessionId,
    /// Which devices.
    pub devices: Vec<RungDevice>,
    /// How long it rings from now on at most, in milliseconds.
    pub ring_ms: u64,
}

/// The relay for this session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayGiven {
    /// The session.
    pub session: SessionId,
    /// This participant's own credentials.
    pub relay: RelayCredentials,
}

/// Where the relay put the other side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRelayed {
    /// The session.
    pub session: SessionId,
    /// Which participant.
    pub alias: String,
    /// The address to give one's own relay permission for, and to send to.
    pub relayed: SocketAddr,
    /// The address that its relay saw it under, as it says itself; none where the verdict keeps addresses from the
    /// other side (since 0.1.0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<SocketAddr>,
}

/// A word of a registration under way, for a device that asked and has not heard (REG-8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// This device's own attempt.
    pub attempt: AttemptId,
    /// The word: `validated` of `register-email`.
    pub word: String,
    /// What it is said of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EndpointId>,
}

/// Fields that a registration under way asks for; send them by `register.answer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedFor {
    /// This device's own attempt.
    pub attempt: AttemptId,
    /// Their names.
    pub fields: Vec<String>,
}

/// Another device has proven an identifier that reaches this one: a further device of the same person, or somebody else,
/// to whom the number has gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredElsewhere {
    /// Which identifier.
    pub endpoint: EndpointId,
    /// Whether it still reaches this device too, as the tenant wants it.
    pub kept: bool,
}

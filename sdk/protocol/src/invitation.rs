//! Invitations, from invite to the end of ringing (INV).

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    connection_data::ConnectionData,
    endpoint::EndpointId,
    id::{IdempotencyKey, SessionId},
    peer::{Path, Peer, SessionKey},
};

/// `invite`: ring these people (INV-1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// Whom to ring; with those of [`dialled`](Self::dialled) at most [`MAX_INVITED`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invited: Vec<EndpointId>,
    /// More to ring: numbers as the user dialled them, which the host completes by where the device
    /// says that it is (REG-10).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dialled: Vec<String>,
    /// The inviter's own identifier; it must be registered to this device.
    pub from: EndpointId,
    /// What the session is for: `audio`, `video`, `chat`, `data` or a word of the application's.
    pub purpose: String,
    /// What the rung devices show, at most 128 bytes.
    pub display_name: String,
    /// Who the inviter is on the network.
    pub connection_data: ConnectionData,
    /// The inviter's key for the session's datagrams.
    pub session_key: SessionKey,
    /// Who chooses among the devices that accept.
    #[serde(default, skip_serializing_if = "TakeMode::is_first")]
    pub take: TakeMode,
    /// With it the request may be sent again: it rings once, and a repeat is answered alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<IdempotencyKey>,
}

/// Who chooses among the devices of a user that accept (INV-6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TakeMode {
    /// The host takes the first.
    #[default]
    First,
    /// Every accept is told to the inviter, who takes one or several by `take`.
    Choose,
}

impl TakeMode {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
    const fn is_first(&self) -> bool {
        matches!(self, Self::First)
    }
}

/// `take`: the inviter takes devices that accepted, after an invite with `take: choose` (INV-6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Take {
    /// The inviter's tickets as they came with the accepts of these devices, at most [`MAX_TAKEN`]. The other
    /// devices of the same users are told to stop.
    pub tickets: Vec<String>,
}

/// How many devices one `take` may name.
pub const MAX_TAKEN: usize = 16;

/// How many identifiers one invite may ring.
pub const MAX_INVITED: usize = 16;

/// One rung device, in the inviter's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RungDevice {
    /// Stands for the device in this session.
    pub alias: String,
    /// Which of the invited it belongs to.
    pub endpoint: EndpointId,
    /// What it is: `phone`, `tablet` …
    pub kind: String,
}

/// Answer to `invite`: the devices that the invite is sent to (INV-3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteStatus {
    /// The session, from invite to end.
    pub session: SessionId,
    /// The inviter's ticket.
    pub ticket: String,
    /// Which devices are rung.
    pub devices: Vec<RungDevice>,
    /// Who of the invited has no device.
    pub not_registered: Vec<EndpointId>,
    /// How long it rings at most, in milliseconds.
    pub ring_ms: u64,
}

/// `ringing`: this device's ringer has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ringing {
    /// The session ticket.
    pub ticket: String,
}

/// `accept`: this device takes the invite (INV-4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accept {
    /// The session ticket that came with the invite.
    pub ticket: String,
    /// The inviter's connection data, as it came with the invite: sealed.
    pub inviter_connection_data: String,
    /// Who this device is on the network.
    pub connection_data: ConnectionData,
    /// This device's key for the session's datagrams.
    pub session_key: SessionKey,
    /// Whether a direct attempt failed before.
    #[serde(default)]
    pub retry: bool,
}

/// Answer to `accept`, and what the inviter gets by the event `accept` (INV-5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The session.
    pub session: SessionId,
    /// The receiver's ticket from here on.
    pub ticket: String,
    /// The other side.
    pub peer: Peer,
    /// How to reach it.
    pub path: Path,
    /// Key of the session's connectivity checks and datagrams, 32 bytes, base64url; the host knows it.
    pub media_key: String,
    /// Whether this came after a failed direct attempt.
    pub retry: bool,
    /// Whether the inviter still has to take the device: its answer is the event `taken`, or a cancel.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub awaits_take: bool,
}

/// `decline`: this device's user says no (INV-4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decline {
    /// The session ticket that came with the invite.
    pub ticket: String,
    /// A word for the inviter: `busy`, `declined` or one of the application's.
    pub reason: String,
}

/// `cancel`: the inviter takes the invite back (INV-17).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// The inviter's ticket.
    pub ticket: String,
}

/// `stopped`: this device's ringer has really stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// The session ticket that came with the invite.
    pub ticket: String,
}

/// Why a device stops ringing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// Another device of the same user accepted (INV-6).
    AnsweredElsewhere,
    /// Another device of the same user declined for all of them.
    DeclinedElsewhere,
    /// The inviter took the invite back (INV-17).
    Cancelled,
    /// The ring time is over.
    NoAnswer,
}

/// What became of one invited user (INV-4): these are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserOutcome {
    /// Every device declined.
    AllDeclined,
    /// Every device declined because its user is in another session.
    Busy,
    /// The ring time is over.
    NoAnswer,
}

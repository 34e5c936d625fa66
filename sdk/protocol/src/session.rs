//! Sessions that run: what participants tell each other, and what the users' other devices are shown (INV-7, INV-8, INV-18).

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    endpoint::EndpointId,
    id::{IdempotencyKey, SessionId},
};

/// `invite-update`: the inviter shows the answering user's other devices who answered (INV-7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteUpdate {
    /// The inviter's ticket, as it came with the accept.
    pub ticket: String,
}

/// `session-update`: something about the session has changed (INV-8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionUpdate {
    /// The session ticket.
    pub ticket: String,
    /// The application's, at most [`MAX_UPDATE`] bytes.
    pub data: serde_json::Value,
    /// With it the request may be sent again: it is told once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<IdempotencyKey>,
}

/// Largest `data` of a `session-update`, in bytes: a description of what is shown, not a file.
pub const MAX_UPDATE: usize = 4 * 1024;

/// `end`: this participant leaves (INV-8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The session ticket.
    pub ticket: String,
    /// A word for the others: `hung-up` or one of the application's, at most 64 bytes.
    pub reason: String,
}

/// Another device of this user answered (INV-7, INV-18).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The session.
    pub session: SessionId,
    /// Which of this device's identifiers was invited.
    pub invited: EndpointId,
    /// Who invited.
    pub from: EndpointId,
    /// What the device that answered is: `phone`, `tablet` …
    pub answered_by: String,
    /// How long the session had run when this was said, in milliseconds.
    pub running_ms: u64,
}

/// A session has changed, or is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionChanged {
    /// The session.
    pub session: SessionId,
    /// Who changed it.
    pub by: EndpointId,
    /// What happened.
    #[serde(flatten)]
    pub change: Change,
    /// How long it had run when this was said, in milliseconds.
    pub running_ms: u64,
}

/// What happened to a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    /// A participant told so.
    Told {
        /// The application's.
        data: serde_json::Value,
    },
    /// A participant left, the others go on.
    Left {
        /// Its word; `lost` if its device vanished.
        reason: String,
        /// What the receiver goes on with, if it takes part.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        renewed: Option<Renewed>,
    },
    /// It is over.
    Ended {
        /// The word of who ended it; `lost` if the device vanished.
        reason: String,
    },
}

/// After a change of who takes part: what came before opens nothing any more (INV-11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// The receiver's ticket for one of the others.
    pub ticket: String,
    /// Which one.
    pub towards: EndpointId,
    /// The new key of connectivity checks and datagrams, 32 bytes, base64url.
    pub media_key: String,
}

/// `session-renew`: a participant's ticket gets a new life, before it is over (INV-11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRenew {
    /// The session ticket.
    pub ticket: String,
}

/// Answer to `session-renew`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRenewed {
    /// The ticket from here on; the other one counts to its own end.
    pub ticket: String,
    /// How long it counts, in milliseconds.
    pub expires_in_ms: u64,
}

/// `session-ask`: a device of a user who takes part from another one asks for the session (INV-18); since 0.1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionAsk {
    /// The session, as `invite-update` or `sync` showed it.
    pub session: SessionId,
}

/// Answer to `session-ask`: who has the session is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionAskPending {
    /// How long the ask counts, in milliseconds: unanswered until then, it is over.
    pub asks_ms: u64,
}

/// Another device of this user asks for the session; `expires_in_ms` says how long that counts (INV-18).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionAsked {
    /// The session.
    pub session: SessionId,
    /// The identifier that both devices have.
    pub endpoint: EndpointId,
    /// Which device asks.
    pub alias: String,
    /// What it is: `phone`, `tablet` …
    pub device_kind: String,
}

/// `session-refuse`: whoever was asked for the session keeps it (INV-18); since 0.1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRefuse {
    /// The session ticket.
    pub ticket: String,
    /// The alias of who asks.
    pub to: String,
    /// A word for it: `busy` or one of the application's, at most 64 bytes.
    pub reason: String,
}

/// The session that this device asked for stays where it is (INV-18).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRefused {
    /// The session.
    pub session: SessionId,
    /// The identifier that both devices have.
    pub endpoint: EndpointId,
    /// What the device is that keeps it.
    pub refused_by: String,
    /// Its word.
    pub reason: String,
}

/// One session in the answer to `sync`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningSession {
    /// The session.
    pub session: SessionId,
    /// What it is for.
    pub purpose: String,
    /// Whether this device takes part; if not, another device of one of its identifiers does (INV-18).
    pub takes_part: bool,
    /// A ticket of a device that takes part, for one that has lost its own: it may `end` the session, tell and renew. Its
    /// media key is another, so no path is found by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// Who takes part.
    pub participants: Vec<EndpointId>,
    /// Since its first accept, in milliseconds.
    pub running_ms: u64,
}

/// One ring in the answer to `sync`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RingingSession {
    /// The session.
    pub session: SessionId,
    /// Who invites.
    pub from: EndpointId,
    /// What it is for.
    pub purpose: String,
    /// How long this device's ring still lasts, in milliseconds.
    pub rings_ms: u64,
}

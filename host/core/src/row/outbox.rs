//! Effects on the outside.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use switchhook_protocol::{
    id::{AttemptId, GatewayId, MessageId},
    time::Timestamp,
};

/// How far an outside effect is. SMS and mail: at most once, with an in-doubt state (DESIGN §2.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutboxState {
    /// Waits.
    Queued,
    /// Somebody is about to perform it, or was when the process died.
    Performing,
    /// Performed.
    Sent,
    /// It arrived, as the other side says.
    Delivered,
    /// Refused by the other side, or it did not arrive.
    Failed,
    /// Nobody knows; reported, performed again only on request.
    InDoubt,
}

/// What an effect on the outside is, and so what is promised of it (DESIGN §2.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutboxKind {
    /// A text: at most once.
    Text,
    /// A mail: at most once.
    Mail,
    /// A request to the tenant's own service: at least once, each time with the entry's id as its
    /// idempotency key.
    Fetch,
}

/// An effect on the outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Its id; the other side sees it too.
    pub id: MessageId,
    /// What it is.
    pub kind: OutboxKind,
    /// Whose effect it is.
    pub attempt: AttemptId,
    /// The gateway that the attempt's texts go out by, if it has one; mails have none.
    pub gateway: Option<GatewayId>,
    /// What to send, sealed.
    pub payload: Vec<u8>,
    /// How far it is.
    pub state: OutboxState,
    /// When it was queued.
    pub queued_at: Timestamp,
}

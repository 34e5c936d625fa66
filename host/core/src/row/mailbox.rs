//! Mailboxes: messages, and where a device's queue stands.

use alloc::string::String;

use switchhook_protocol::{
    id::{DeviceId, Epoch, MessageId},
    time::Timestamp,
};

/// One durable message of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Whose mailbox.
    pub device: DeviceId,
    /// The same on every delivery and channel.
    pub id: MessageId,
    /// `{"kind":…,"body":…}`, an [`Event`](switchhook_protocol::event::Event) as JSON.
    pub event: String,
    /// After this it does not count.
    pub expires_at: Timestamp,
    /// A later message with the same key takes the place of an earlier one that is not delivered.
    pub collapse_key: Option<String>,
}

impl Message {
    /// At this place of its mailbox, not sent yet.
    pub fn stored(&self, seq: u64) -> StoredMessage {
        StoredMessage {
            seq,
            id: self.id.clone(),
            event: self.event.clone(),
            expires_at: self.expires_at,
            delivered: false,
        }
    }
}

/// A message with its place in the mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Position, from 1.
    pub seq: u64,
    /// The same on every delivery and channel.
    pub id: MessageId,
    /// `{"kind":…,"body":…}`.
    pub event: String,
    /// After this it does not count.
    pub expires_at: Timestamp,
    /// It was sent on a connection before.
    pub delivered: bool,
}

/// Where a mailbox stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxState {
    /// Its incarnation.
    pub epoch: Epoch,
    /// The last sequence number given out.
    pub last_seq: u64,
    /// The first that is not acknowledged, of those that are stored.
    pub first_seq: Option<u64>,
    /// The highest sequence number of a message that expired or collapsed before it was acknowledged.
    pub lost_seq: u64,
}

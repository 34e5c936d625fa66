//! A device's mailbox: one queue, one sequence (DESIGN §2.3).
//!
//! Appending is a typed write (see [`crate::TenantStorage::commit`]). What has expired is not shown, and
//! counts as lost from that moment, whether the sweeper came by or not.

use std::time::Duration;

use switchhook_core::row::{MailboxState, StoredMessage};
use switchhook_protocol::{
    id::{DeviceId, SessionId, TenantId},
    time::{self, Timestamp},
};

use crate::{
    batch::Change,
    cells::{Cells, integer, millis},
    dialect::{Query, Row, postgres},
    error::StorageError,
    lifecycle::{Storage, TenantStorage},
};

const STATE: &str = "SELECT epoch, last_seq, lost_seq, \
         (SELECT coalesce(max(seq), 0) FROM messages AS m \
          WHERE m.tenant = b.tenant AND m.device = b.device AND m.expires_at <= $3), \
         (SELECT min(seq) FROM messages AS m WHERE m.tenant = b.tenant AND m.device = b.device) \
     FROM mailboxes AS b WHERE tenant = $1 AND device = $2";
const AFTER: &str = "SELECT m.message, m.seq, m.event, m.expires_at, b.delivered_seq \
     FROM mailboxes AS b CROSS JOIN messages AS m \
     WHERE b.tenant = $1 AND b.device = $2 AND m.tenant = b.tenant AND m.device = b.device \
         AND m.seq > $3 AND m.expires_at > $4 \
     ORDER BY m.seq LIMIT CAST($5 AS BIGINT)";

/// One mailbox.
#[derive(Debug)]
pub struct Mailbox<'a> {
    storage: &'a TenantStorage,
    device: &'a DeviceId,
}

impl TenantStorage {
    /// The mailbox of a device.
    pub const fn mailbox<'a>(&'a self, device: &'a DeviceId) -> Mailbox<'a> {
        Mailbox { storage: self, device }
    }
}

impl Mailbox<'_> {
    /// Where it stands.
    pub async fn state(&self, now: Timestamp) -> Result<Option<MailboxState>, StorageError> {
        let query = Query::from(STATE)
            .bind(self.storage.tenant().as_str().to_owned())
            .bind(self.device.as_str().to_owned())
            .bind(millis(now));
        self.storage.storage().one(query, state).await
    }

    /// What it holds after this sequence number, in order, at most so many.
    pub async fn after(
        &self,
        seq: u64,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<StoredMessage>, StorageError> {
        let query = Query::from(AFTER)
            .bind(self.storage.tenant().as_str().to_owned())
            .bind(self.device.as_str().to_owned())
            .bind(integer(seq))
            .bind(millis(now))
            .bind(limit);
        self.storage.storage().all(query, message).await
    }

    /// The device has everything up to here: forgets it.
    pub async fn acknowledge(&self, seq: u64) -> Result<(), StorageError> {
        let change = Change::Acknowledge { device: self.device.clone(), seq };
        self.storage.change("acknowledge", vec![change]).await.map(drop)
    }

    /// Everything up to here was sent on a connection, rings of these sessions among it: their legs are
    /// pushed, if they still wait. May come late: it only tells a repeat.
    pub async fn mark_pushed(
        &self,
        up_to_seq: u64,
        sessions: impl IntoIterator<Item = SessionId>,
        at: Timestamp,
    ) -> Result<(), StorageError> {
        let pushed = |session| Change::Pushed { session, device: self.device.clone(), at };
        let delivered = Change::Delivered { device: self.device.clone(), seq: up_to_seq };
        let changes = std::iter::once(delivered).chain(sessions.into_iter().map(pushed)).collect();
        self.storage.change("mark-delivered", changes).await.map(drop)
    }

    /// Everything up to here was sent on a connection. May come late: it only tells a repeat.
    pub async fn mark_delivered(&self, up_to_seq: u64) -> Result<(), StorageError> {
        let change = Change::Delivered { device: self.device.clone(), seq: up_to_seq };
        self.storage.change("mark-delivered", vec![change]).await.map(drop)
    }
}

impl Storage {
    /// Whose mailboxes something was put into within this time and still hold it, by any process. Nothing where
    /// there is one process, which was told.
    pub async fn stored_lately(&self, within: Duration) -> Result<Vec<(TenantId, DeviceId)>, StorageError> {
        if !self.is_shared() {
            return Ok(Vec::new());
        }
        let within = integer(time::millis(within));
        self.all(Query::from(postgres::STORED_LATELY).bind(within), |row| {
            let mut cells = Cells::of("messages", row);
            Ok((cells.parsed()?, cells.parsed()?))
        })
        .await
    }
}

fn state(row: &Row) -> Result<MailboxState, StorageError> {
    let mut cells = Cells::of("mailboxes", row);
    let (epoch, last_seq) = (cells.parsed()?, cells.number()?);
    let (noted, expired): (u64, u64) = (cells.number()?, cells.number()?);
    let first_seq = cells.optional_number()?;
    Ok(MailboxState { epoch, last_seq, first_seq, lost_seq: noted.max(expired) })
}

fn message(row: &Row) -> Result<StoredMessage, StorageError> {
    let mut cells = Cells::of("messages", row);
    let (id, seq) = (cells.parsed()?, cells.number()?);
    let (event, expires_at) = (cells.text()?, cells.timestamp()?);
    Ok(StoredMessage { seq, id, event, expires_at, delivered: seq <= cells.number::<u64>()? })
}

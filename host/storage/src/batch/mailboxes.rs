//! Sequence numbers of the mailboxes that a batch appends to, and what is lost from them.

use std::collections::BTreeMap;

use switchhook_protocol::{id::DeviceId, time::Timestamp};

use super::{Part, json, plan::Plan, run_many};
use crate::{
    cells::{Cells, integer, millis},
    dialect::{self, Connection, Query, Row},
    error::StorageError,
    limits,
};

/// A device's key in rows.
pub(super) type Key<'a> = (&'a str, &'a str);

/// The mailboxes of one batch, in the order of their keys: the order in which their rows are locked.
#[derive(Debug)]
pub(super) struct Mailboxes<'a> {
    all: BTreeMap<Key<'a>, Reserved>,
}

/// Numbers of one mailbox.
#[derive(Debug, Default)]
struct Reserved {
    /// How many messages the batch has for it.
    wanted: u32,
    /// Where it stands with all of them; none if there is no such mailbox.
    stored: Option<Stored>,
}

#[derive(Debug)]
struct Stored {
    /// The last number given to a message.
    last: u64,
    /// The last number reserved.
    reserved: u64,
    /// How many messages it held before the batch.
    held: u32,
}

const DROP_EXPIRED: &str = "DELETE FROM messages WHERE tenant = $1 AND device = $2 AND expires_at <= $3 \
     RETURNING tenant, device, seq";
/// All but the newest so many.
const DROP_OLDEST: &str = "DELETE FROM messages WHERE tenant = $1 AND device = $2 AND seq <= \
         (SELECT seq FROM messages WHERE tenant = $1 AND device = $2 \
          ORDER BY seq DESC LIMIT 1 OFFSET CAST($3 AS BIGINT)) \
     RETURNING tenant, device, seq";

impl<'a> Mailboxes<'a> {
    /// Reserves a number for each message of the parts.
    pub(super) async fn reserve(
        connection: &mut Connection,
        parts: &[Part<'a>],
    ) -> Result<Self, StorageError> {
        let mut all = BTreeMap::<Key<'a>, Reserved>::new();
        for part in parts {
            for device in part.changes.iter().filter_map(super::Change::rouses) {
                all.entry((part.tenant, device.as_str())).or_default().wanted += 1;
            }
        }
        let mut mailboxes = Self { all };
        let rows: Vec<_> =
            mailboxes.all.iter().map(|((tenant, device), it)| (tenant, device, it.wanted)).collect();
        if let Some(rows) = json(&rows)? {
            let reserved = connection.fetch_all(Query::from(dialect::RESERVE).bind(rows)).await?;
            let mut reserved = reserved.iter().map(numbers).collect::<Result<Vec<_>, _>>()?;
            reserved.sort_unstable();
            mailboxes.note(&reserved);
        }
        Ok(mailboxes)
    }

    fn note(&mut self, answers: &[Numbers]) {
        for (key, it) in &mut self.all {
            let place =
                answers.binary_search_by(|(tenant, device, ..)| (tenant.as_str(), device.as_str()).cmp(key));
            let Some((_, _, reserved, held)) = place.ok().and_then(|place| answers.get(place)) else {
                continue;
            };
            let last = reserved.saturating_sub(it.wanted.into());
            it.stored = Some(Stored { last, reserved: *reserved, held: *held });
        }
    }

    /// Whether every message of this part has a mailbox.
    pub(super) fn admit(&mut self, part: Part<'a>) -> Result<(), StorageError> {
        for device in part.changes.iter().filter_map(super::Change::rouses) {
            if self.stored(part.tenant, device).is_none() {
                return Err(StorageError::NoSuchDevice { device: device.clone() });
            }
        }
        Ok(())
    }

    /// Drops from mailboxes that are too full now what has expired, then the oldest messages: whoever
    /// does not fetch its messages pays for it alone, and hears of it when it comes back.
    pub(super) async fn make_room(
        &self,
        connection: &mut Connection,
        now: impl Fn() -> Timestamp,
    ) -> Result<(), StorageError> {
        for ((tenant, device), it) in &self.all {
            let held = it.stored.as_ref().map_or(0, |stored| stored.held);
            if held.saturating_add(it.wanted) <= limits::MAILBOX {
                continue;
            }
            for (statement, bound) in
                [(DROP_EXPIRED, millis(now())), (DROP_OLDEST, i64::from(limits::MAILBOX))]
            {
                let query = Query::from(statement).bind(*tenant).bind(*device).bind(bound);
                let dropped = connection.fetch_all(query).await?;
                lose(connection, dropped.iter().map(lost)).await?;
            }
        }
        Ok(())
    }

    /// The number of the next message to an admitted device.
    pub(super) fn next(&mut self, tenant: &'a str, device: &'a DeviceId) -> u64 {
        let Some(stored) = self.stored(tenant, device) else { return 0 };
        stored.last += 1;
        stored.last
    }

    /// Gives back what refused parts had reserved.
    pub(super) async fn give_back(&self, connection: &mut Connection) -> Result<(), StorageError> {
        let unused = self.all.iter().filter_map(|((tenant, device), it)| {
            let stored = it.stored.as_ref().filter(|stored| stored.last < stored.reserved)?;
            Some((tenant, device, integer(stored.last)))
        });
        run_many(connection, dialect::GIVE_BACK, &unused.collect::<Vec<_>>()).await
    }

    fn stored(&mut self, tenant: &'a str, device: &'a DeviceId) -> Option<&mut Stored> {
        self.all.get_mut(&(tenant, device.as_str()))?.stored.as_mut()
    }
}

/// Where a mailbox stands: tenant, device, the last number reserved, how many messages it holds.
type Numbers = (String, String, u64, u32);

fn numbers(row: &Row) -> Result<Numbers, StorageError> {
    let mut cells = Cells::of("mailboxes", row);
    Ok((cells.text()?, cells.text()?, cells.number()?, cells.number()?))
}

/// Drops undelivered messages that the plan's messages take the place of.
pub(super) async fn collapse(connection: &mut Connection, plan: &Plan<'_>) -> Result<(), StorageError> {
    let Some(keys) = json(&plan.collapsing())? else { return Ok(()) };
    let stored = connection.fetch_all(Query::from(dialect::COLLAPSE).bind(keys)).await?;
    let of_batch =
        plan.collapsed().map(|(tenant, device, seq)| Ok((tenant.to_owned(), device.to_owned(), seq)));
    lose(connection, stored.iter().map(lost).chain(of_batch)).await
}

/// A message that is gone: tenant, device and sequence number.
type Lost = (String, String, u64);

/// Reads a message that a statement deleted.
pub(crate) fn lost(row: &Row) -> Result<Lost, StorageError> {
    let mut cells = Cells::of("messages", row);
    Ok((cells.text()?, cells.text()?, cells.number()?))
}

/// Notes in their mailboxes that messages are gone (`MailboxState::lost_seq`).
pub(crate) async fn lose(
    connection: &mut Connection,
    messages: impl Iterator<Item = Result<Lost, StorageError>>,
) -> Result<(), StorageError> {
    let mut highest = BTreeMap::<(String, String), u64>::new();
    for message in messages {
        let (tenant, device, seq) = message?;
        let known = highest.entry((tenant, device)).or_default();
        *known = seq.max(*known);
    }
    let rows: Vec<_> =
        highest.iter().map(|((tenant, device), seq)| (tenant, device, integer(*seq))).collect();
    run_many(connection, dialect::LOSE, &rows).await
}

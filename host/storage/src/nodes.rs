//! The running processes on this database.
//!
//! Each has a row, which it changes about once a second. A row that no longer changes is of one that died, and
//! whoever has watched it stand still for long enough buries it ([`Nodes::bury`]): the row goes, and in the same
//! transaction what that process was performing is taken up. Watching, rather than comparing its time with one's
//! own, asks nothing of clocks. A process that was buried alive, frozen for a while, enters again with
//! its next beat.
//!
//! Beats take no turns with the transactions of tenants: whoever waits behind a slow one is alive. A file has one
//! process, which tells nobody and takes up whatever it finds.

use switchhook_core::row::{Node, OutboxEntry};
use switchhook_protocol::id::{NodeId, TenantId};

use crate::{
    cells::{Cells, millis},
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::Storage,
    outbox,
    transaction::Transaction,
};

const ALL: &str = "SELECT node, address, region, sockets, draining, started_at, seen_at FROM nodes \
     ORDER BY started_at, node";
const BEAT: &str = "INSERT INTO nodes (node, address, region, sockets, draining, started_at, seen_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7) \
     ON CONFLICT (node) DO UPDATE SET sockets = excluded.sockets, draining = excluded.draining, \
         seen_at = excluded.seen_at";
const BURY: &str = "DELETE FROM nodes WHERE node = $1 AND seen_at = $2";
const LEAVE: &str = "DELETE FROM nodes WHERE node = $1";

/// The nodes.
#[derive(Debug)]
pub struct Nodes<'a>(&'a Storage);

impl Storage {
    /// The nodes.
    pub const fn nodes(&self) -> Nodes<'_> {
        Nodes(self)
    }

    /// Whether other processes use the same database. A file is one process's alone.
    pub fn is_shared(&self) -> bool {
        self.readers().is_shared()
    }
}

impl Nodes<'_> {
    /// All that have a row, the longest running first.
    pub async fn all(&self) -> Result<Vec<Node>, StorageError> {
        self.0.all(Query::from(ALL), decode).await
    }

    /// Says that a node lives, where there are others.
    pub async fn beat(&self, node: &Node) -> Result<(), StorageError> {
        let beat = Query::from(BEAT)
            .bind(node.id.as_str())
            .bind(node.address.as_str())
            .bind(node.region.as_str())
            .bind(node.sockets)
            .bind(u32::from(node.draining))
            .bind(millis(node.started_at))
            .bind(millis(node.seen_at));
        Ok(self.0.readers().execute_apart(beat).await?)
    }

    /// A node ends by itself: it has performed what it had begun.
    pub async fn leave(&self, node: &NodeId) -> Result<(), StorageError> {
        Ok(self.0.readers().execute_apart(Query::from(LEAVE).bind(node.as_str())).await?)
    }

    /// Buries a node whose row still stands as it was seen; none if it has changed meanwhile. The texts that it was
    /// sending are in doubt (they are the answer), and the requests that it was making wait again.
    pub async fn bury(&self, seen: &Node) -> Result<Option<Vec<(TenantId, OutboxEntry)>>, StorageError> {
        let bury = Query::from(BURY).bind(seen.id.as_str()).bind(millis(seen.seen_at));
        let taking_up = async move |tx: &mut Transaction<'_>| {
            if tx.write(bury).await? == 0 {
                return Ok(None);
            }
            outbox::take_up(tx).await.map(Some)
        };
        self.0.run("bury-node", taking_up).await
    }

    /// Takes up what was being performed by whoever has no row, as whoever opens a file may: it is nobody else's.
    /// Answers like [`Self::bury`].
    pub async fn take_up(&self) -> Result<Vec<(TenantId, OutboxEntry)>, StorageError> {
        self.0.run("take-up", async move |tx: &mut Transaction<'_>| outbox::take_up(tx).await).await
    }
}

fn decode(row: &Row) -> Result<Node, StorageError> {
    let mut cells = Cells::of("nodes", row);
    Ok(Node {
        id: cells.parsed()?,
        address: cells.text()?,
        region: cells.text()?,
        sockets: cells.number()?,
        draining: cells.flag()?,
        started_at: cells.timestamp()?,
        seen_at: cells.timestamp()?,
    })
}

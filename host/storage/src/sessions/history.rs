//! What became of sessions, for "why did it not ring?": plugins' decisions, forwards, and whom they were about.

use switchhook_core::row::{Decision, Forward, Session};
use switchhook_protocol::{endpoint::EndpointId, id::SessionId};

use super::{Sessions, decode_session};
use crate::{
    cells::Cells,
    dialect::{Query, Row},
    error::StorageError,
};

const OF_ENDPOINT: &str = "SELECT session, application, inviter, inviter_endpoint, purpose, created_at, expires_at, \
         generation, routing, take \
     FROM sessions WHERE tenant = $1 AND session IN ( \
         SELECT session FROM invitations WHERE tenant = $1 AND endpoint = $2 \
         UNION SELECT session FROM forwards WHERE tenant = $1 AND endpoint = $2) \
     ORDER BY created_at DESC, session LIMIT CAST($3 AS BIGINT)";
const FORWARDS: &str = "SELECT session, position, endpoint, at FROM forwards \
     WHERE tenant = $1 AND session = $2 ORDER BY at, position, endpoint";
const DECISIONS: &str = "SELECT session, at, slot, plugin, version, outcome, failure, micros FROM decisions \
     WHERE tenant = $1 AND session = $2 ORDER BY number";

impl Sessions<'_> {
    /// The sessions to which an identifier was invited, or that went on to it; the newest first, at most so many.
    pub async fn of_endpoint(&self, endpoint: &EndpointId, limit: u32) -> Result<Vec<Session>, StorageError> {
        let tenant = self.0.tenant().as_str().to_owned();
        let query = Query::from(OF_ENDPOINT).bind(tenant).bind(endpoint.reveal().to_owned()).bind(limit);
        self.0.storage().all(query, decode_session).await
    }

    /// To whom its invitations went on, in the order of time.
    pub async fn forwards(&self, session: &SessionId) -> Result<Vec<Forward>, StorageError> {
        self.0.storage().all(self.keyed(FORWARDS, session), decode_forward).await
    }

    /// What plugins decided about it, in the order of its commits.
    pub async fn decisions(&self, session: &SessionId) -> Result<Vec<Decision>, StorageError> {
        self.0.storage().all(self.keyed(DECISIONS, session), decode_decision).await
    }
}

fn decode_forward(row: &Row) -> Result<Forward, StorageError> {
    let mut cells = Cells::of("forwards", row);
    Ok(Forward {
        session: cells.parsed()?,
        user: cells.number()?,
        to: cells.parsed()?,
        at: cells.timestamp()?,
    })
}

fn decode_decision(row: &Row) -> Result<Decision, StorageError> {
    let mut cells = Cells::of("decisions", row);
    let _session = cells.text()?;
    Ok(Decision {
        at: cells.timestamp()?,
        slot: cells.word()?,
        plugin: cells.optional_parsed()?,
        version: cells.number()?,
        outcome: cells.text()?,
        failure: cells.optional_text()?,
        micros: cells.number()?,
    })
}

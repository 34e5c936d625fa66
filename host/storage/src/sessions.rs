//! Sessions while they ring: invitations and legs.
//!
//! Written by typed writes. Take and its like read them inside their own transaction, through
//! [`Transaction`]; `explain` and tests read them through [`Sessions`].

use switchhook_core::row::{Invitation, Leg, Session};
use switchhook_protocol::id::SessionId;

use crate::{
    cells::Cells,
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::TenantStorage,
    transaction::Transaction,
};

const SESSION: &str = "SELECT session, application, inviter, inviter_endpoint, purpose, created_at, expires_at \
     FROM sessions WHERE tenant = $1 AND session = $2";
const INVITATIONS: &str = "SELECT session, position, endpoint, state, taken_by, rings_until FROM invitations \
     WHERE tenant = $1 AND session = $2 ORDER BY position";
const INVITATION: &str = "SELECT session, position, endpoint, state, taken_by, rings_until FROM invitations \
     WHERE tenant = $1 AND session = $2 AND position = $3";
const LEGS: &str = "SELECT session, position, device, wave, state, lease_until, ring, changed_at FROM legs \
     WHERE tenant = $1 AND session = $2 ORDER BY position, wave, device";
const LEGS_OF_USER: &str = "SELECT session, position, device, wave, state, lease_until, ring, changed_at FROM legs \
     WHERE tenant = $1 AND session = $2 AND position = $3 ORDER BY wave, device";

/// The sessions of a tenant.
#[derive(Debug)]
pub struct Sessions<'a>(&'a TenantStorage);

impl TenantStorage {
    /// The sessions.
    pub const fn sessions(&self) -> Sessions<'_> {
        Sessions(self)
    }
}

impl Sessions<'_> {
    /// The session of this id.
    pub async fn get(&self, session: &SessionId) -> Result<Option<Session>, StorageError> {
        self.0.storage().one(self.keyed(SESSION, session), decode_session).await
    }

    /// Its invitations, in the order of the invited.
    pub async fn invitations(&self, session: &SessionId) -> Result<Vec<Invitation>, StorageError> {
        self.0.storage().all(self.keyed(INVITATIONS, session), decode_invitation).await
    }

    /// Its legs: by user, wave and device.
    pub async fn legs(&self, session: &SessionId) -> Result<Vec<Leg>, StorageError> {
        self.0.storage().all(self.keyed(LEGS, session), decode_leg).await
    }

    fn keyed(&self, statement: &'static str, session: &SessionId) -> Query {
        keyed(statement, self.0.tenant().as_str(), session)
    }
}

impl Transaction<'_> {
    /// The session of this id.
    pub async fn session(&mut self, session: &SessionId) -> Result<Option<Session>, StorageError> {
        let query = keyed(SESSION, self.tenant(), session);
        self.one(query, decode_session).await
    }

    /// The invitation of one user.
    pub async fn invitation(
        &mut self,
        session: &SessionId,
        user: u16,
    ) -> Result<Option<Invitation>, StorageError> {
        let query = keyed(INVITATION, self.tenant(), session).bind(i64::from(user));
        self.one(query, decode_invitation).await
    }

    /// All its invitations, in the order of the invited.
    pub async fn invitations(&mut self, session: &SessionId) -> Result<Vec<Invitation>, StorageError> {
        let query = keyed(INVITATIONS, self.tenant(), session);
        self.all(query, decode_invitation).await
    }

    /// All its legs: by user, wave and device.
    pub async fn legs(&mut self, session: &SessionId) -> Result<Vec<Leg>, StorageError> {
        let query = keyed(LEGS, self.tenant(), session);
        self.all(query, decode_leg).await
    }

    /// The legs of one user: by wave and device.
    pub async fn legs_of(&mut self, session: &SessionId, user: u16) -> Result<Vec<Leg>, StorageError> {
        let query = keyed(LEGS_OF_USER, self.tenant(), session).bind(i64::from(user));
        self.all(query, decode_leg).await
    }
}

fn keyed(statement: &'static str, tenant: &str, session: &SessionId) -> Query {
    sqlx::query(statement).bind(tenant.to_owned()).bind(session.as_str().to_owned())
}

fn decode_session(row: &Row) -> Result<Session, StorageError> {
    let mut cells = Cells::of("sessions", row);
    Ok(Session {
        id: cells.parsed()?,
        application: cells.parsed()?,
        inviter: cells.parsed()?,
        inviter_endpoint: cells.parsed()?,
        purpose: cells.text()?,
        created_at: cells.timestamp()?,
        expires_at: cells.timestamp()?,
    })
}

fn decode_invitation(row: &Row) -> Result<Invitation, StorageError> {
    let mut cells = Cells::of("invitations", row);
    Ok(Invitation {
        session: cells.parsed()?,
        user: cells.number()?,
        endpoint: cells.parsed()?,
        state: cells.word()?,
        taken_by: cells.optional_parsed()?,
        rings_until: cells.timestamp()?,
    })
}

fn decode_leg(row: &Row) -> Result<Leg, StorageError> {
    let mut cells = Cells::of("legs", row);
    Ok(Leg {
        session: cells.parsed()?,
        user: cells.number()?,
        device: cells.parsed()?,
        wave: cells.number()?,
        state: cells.word()?,
        lease_until: cells.timestamp()?,
        ring: cells.optional_text()?,
        changed_at: cells.timestamp()?,
    })
}

//! Sessions: while they ring invitations and legs, while they run participants.
//!
//! Written by typed writes. Take and its like read them inside their own transaction, through
//! [`Transaction`]; `explain` ([`history`]) and tests read them through [`Sessions`].

mod history;

use switchhook_core::row::{Invitation, Leg, Milestones, Participant, Session};
use switchhook_protocol::{
    endpoint::EndpointId,
    id::{ApplicationId, DeviceId, SessionId, TenantId},
    time::Timestamp,
};

use crate::{
    batch,
    cells::{Cells, millis},
    dialect::{self, Query, Row},
    error::StorageError,
    lifecycle::{Storage, TenantStorage},
    transaction::Transaction,
};

const SESSION: &str = "SELECT session, application, inviter, inviter_endpoint, purpose, created_at, expires_at, generation, routing, take \
     FROM sessions WHERE tenant = $1 AND session = $2";
const INVITATIONS: &str = "SELECT session, position, endpoint, state, taken_by, rings_until, course FROM invitations \
     WHERE tenant = $1 AND session = $2 ORDER BY position";
const INVITATION: &str = "SELECT session, position, endpoint, state, taken_by, rings_until, course FROM invitations \
     WHERE tenant = $1 AND session = $2 AND position = $3";
const LEGS: &str = "SELECT session, position, device, wave, state, lease_until, ring, changed_at, \
         queued_at, pushed_at, rang_at, ended_at, silent_at FROM legs \
     WHERE tenant = $1 AND session = $2 ORDER BY position, wave, device";
const LEGS_OF_USER: &str = "SELECT session, position, device, wave, state, lease_until, ring, changed_at, \
         queued_at, pushed_at, rang_at, ended_at, silent_at FROM legs \
     WHERE tenant = $1 AND session = $2 AND position = $3 ORDER BY wave, device";

const PARTICIPANTS: &str = "SELECT session, device, endpoint, kind, position, joined_at, seen_at FROM participants \
     WHERE tenant = $1 AND session = $2 ORDER BY coalesce(position, -1), device";
const OF_DEVICE: &str = "SELECT session, application, inviter, inviter_endpoint, purpose, created_at, expires_at, \
         generation, routing, take \
     FROM sessions WHERE tenant = $1 AND session IN ( \
         SELECT session FROM participants WHERE tenant = $1 AND device = $2 \
         UNION SELECT p.session FROM registrations AS g CROSS JOIN participants AS p \
             WHERE g.tenant = $1 AND g.device = $2 AND p.tenant = g.tenant AND p.endpoint = g.endpoint) \
     ORDER BY created_at, session LIMIT CAST($3 AS BIGINT)";
const RINGING: &str = "SELECT s.session, s.application, s.inviter, s.inviter_endpoint, s.purpose, s.created_at, \
         s.expires_at, s.generation, s.routing, s.take, \
         g.lease_until \
     FROM legs AS g CROSS JOIN sessions AS s \
     WHERE g.tenant = $1 AND g.device = $2 AND g.state IN ('queued', 'pushed', 'rang') AND g.lease_until > $3 \
         AND s.tenant = g.tenant AND s.session = g.session \
     ORDER BY s.created_at, s.session LIMIT CAST($4 AS BIGINT)";
const RINGING_FOR: &str = "SELECT i.session, i.position \
     FROM invitations AS i CROSS JOIN sessions AS s \
     WHERE i.tenant = $1 AND i.endpoint = $2 AND i.state = 'ringing' AND i.rings_until > $4 \
         AND s.tenant = i.tenant AND s.session = i.session AND s.application = $3 \
     UNION SELECT i.session, i.position \
     FROM forwards AS f CROSS JOIN invitations AS i CROSS JOIN sessions AS s \
     WHERE f.tenant = $1 AND f.endpoint = $2 \
         AND i.tenant = f.tenant AND i.session = f.session AND i.position = f.position \
         AND i.state = 'ringing' AND i.rings_until > $4 \
         AND s.tenant = i.tenant AND s.session = i.session AND s.application = $3 \
     ORDER BY 1, 2 LIMIT CAST($5 AS BIGINT)";
const MISSED: &str = "SELECT i.session, i.position \
     FROM legs AS g CROSS JOIN invitations AS i \
     WHERE g.tenant = $1 AND g.device = $2 AND g.state = 'queued' AND g.lease_until <= $3 \
         AND i.tenant = g.tenant AND i.session = g.session AND i.position = g.position \
         AND i.state = 'ringing' AND i.rings_until > $3 \
     ORDER BY i.session, i.position LIMIT CAST($4 AS BIGINT)";
const UNSEEN: &str = "SELECT session, device, endpoint, kind, position, joined_at, seen_at, tenant FROM participants \
     WHERE seen_at <= $1 ORDER BY seen_at LIMIT CAST($2 AS BIGINT)";

const RELAY_WANTED: &str =
    "SELECT relay_wanted FROM participants WHERE tenant = $1 AND session = $2 AND device = $3";
const WANT_RELAY: &str =
    "UPDATE participants SET relay_wanted = 1 WHERE tenant = $1 AND session = $2 AND device = $3";

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

    /// Who takes part: the inviter, then in the order of the invited.
    pub async fn participants(&self, session: &SessionId) -> Result<Vec<Participant>, StorageError> {
        self.0.storage().all(self.keyed(PARTICIPANTS, session), decode_participant).await
    }

    /// Whether an invited device that takes part, or its inviter, has asked for the relay between both (NAT-4).
    pub async fn relay_wanted(&self, session: &SessionId, device: &DeviceId) -> Result<bool, StorageError> {
        let query = self.keyed(RELAY_WANTED, session).bind(device.as_str().to_owned());
        let wanted = self.0.storage().one(query, |row| Cells::of("participants", row).flag());
        Ok(wanted.await?.unwrap_or_default())
    }

    /// The running sessions in which a device takes part, or another one by an identifier of this device;
    /// at most so many.
    pub async fn of_device(&self, device: &DeviceId, limit: u32) -> Result<Vec<Session>, StorageError> {
        self.0.storage().all(self.of(OF_DEVICE, device).bind(limit), decode_session).await
    }

    /// What rings on a device, and until when; at most so many.
    pub async fn ringing(
        &self,
        device: &DeviceId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<(Session, Timestamp)>, StorageError> {
        let decode = |row: &Row| {
            let mut cells = Cells::of("sessions", row);
            Ok((session(&mut cells)?, cells.timestamp()?))
        };
        self.0.storage().all(self.of(RINGING, device).bind(millis(now)).bind(limit), decode).await
    }

    /// Users that ring, and whose ring on this device was over before it was sent; at most so many.
    pub async fn missed(
        &self,
        device: &DeviceId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<(SessionId, u16)>, StorageError> {
        self.0.storage().all(self.of(MISSED, device).bind(millis(now)).bind(limit), decode_user).await
    }

    fn of(&self, statement: &'static str, device: &DeviceId) -> Query {
        Query::from(statement).bind(self.0.tenant().as_str().to_owned()).bind(device.as_str().to_owned())
    }

    fn keyed(&self, statement: &'static str, session: &SessionId) -> Query {
        keyed(statement, self.0.tenant().as_str(), session)
    }
}

impl Storage {
    /// Those of these devices that take part in these sessions.
    pub async fn taking_part(
        &self,
        keys: &[(&TenantId, &SessionId, &DeviceId)],
    ) -> Result<Vec<(TenantId, SessionId, DeviceId)>, StorageError> {
        let Some(keys) = batch::json(keys)? else { return Ok(Vec::new()) };
        let decode = |row: &Row| {
            let mut cells = Cells::of("participants", row);
            Ok((cells.parsed()?, cells.parsed()?, cells.parsed()?))
        };
        self.all(Query::from(dialect::TAKING_PART).bind(keys), decode).await
    }

    /// Participants of all tenants whom no node has seen since then, the longest unseen first, at most so many.
    pub async fn unseen(
        &self,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<(TenantId, Participant)>, StorageError> {
        let decode = |row: &Row| {
            let mut cells = Cells::of("participants", row);
            let participant = participant(&mut cells)?;
            Ok((cells.parsed()?, participant))
        };
        self.all(Query::from(UNSEEN).bind(millis(since)).bind(limit), decode).await
    }
}

impl Transaction<'_> {
    /// Who takes part: the inviter, then in the order of the invited.
    pub async fn participants(&mut self, session: &SessionId) -> Result<Vec<Participant>, StorageError> {
        let query = keyed(PARTICIPANTS, self.tenant(), session);
        self.all(query, decode_participant).await
    }

    /// The relay is wanted between an invited device that takes part and its inviter (NAT-4): remembered for as long
    /// as that device takes part.
    pub async fn want_relay(&mut self, session: &SessionId, device: &DeviceId) -> Result<(), StorageError> {
        let query = keyed(WANT_RELAY, self.tenant(), session).bind(device.as_str().to_owned());
        self.write(query).await.map(drop)
    }

    /// The session of this id.
    pub async fn session(&mut self, session: &SessionId) -> Result<Option<Session>, StorageError> {
        let query = keyed(SESSION, self.tenant(), session);
        self.one(query, decode_session).await
    }

    /// Users that ring by this identifier, theirs or one that they were forwarded to, of an application; at most so many.
    pub async fn ringing_for(
        &mut self,
        (application, endpoint): (&ApplicationId, &EndpointId),
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<(SessionId, u16)>, StorageError> {
        let query = Query::from(RINGING_FOR)
            .bind(self.tenant().to_owned())
            .bind(endpoint.reveal().to_owned())
            .bind(application.as_str().to_owned())
            .bind(millis(now))
            .bind(limit);
        self.all(query, decode_user).await
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
    Query::from(statement).bind(tenant.to_owned()).bind(session.as_str().to_owned())
}

/// An invited user of a session, by its position.
fn decode_user(row: &Row) -> Result<(SessionId, u16), StorageError> {
    let mut cells = Cells::of("invitations", row);
    Ok((cells.parsed()?, cells.number()?))
}

pub(crate) fn decode_session(row: &Row) -> Result<Session, StorageError> {
    session(&mut Cells::of("sessions", row))
}

fn session(cells: &mut Cells<'_>) -> Result<Session, StorageError> {
    Ok(Session {
        id: cells.parsed()?,
        application: cells.parsed()?,
        inviter: cells.parsed()?,
        inviter_endpoint: cells.parsed()?,
        purpose: cells.text()?,
        created_at: cells.timestamp()?,
        expires_at: cells.timestamp()?,
        generation: cells.number()?,
        routing: cells.optional_text()?,
        take: cells.word()?,
    })
}

fn decode_participant(row: &Row) -> Result<Participant, StorageError> {
    participant(&mut Cells::of("participants", row))
}

fn participant(cells: &mut Cells<'_>) -> Result<Participant, StorageError> {
    Ok(Participant {
        session: cells.parsed()?,
        device: cells.parsed()?,
        endpoint: cells.parsed()?,
        kind: cells.text()?,
        user: cells.optional_number()?,
        joined_at: cells.timestamp()?,
        seen_at: cells.timestamp()?,
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
        course: cells.optional_text()?,
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
        times: Milestones {
            queued: cells.optional_timestamp()?,
            pushed: cells.optional_timestamp()?,
            rang: cells.optional_timestamp()?,
            ended: cells.optional_timestamp()?,
            silent: cells.optional_timestamp()?,
        },
    })
}

//! Registrations under way.
//!
//! An attempt is a plugin's state and its version. Whoever commits a step names the version that the
//! step was computed from; if another was committed meanwhile, the step is computed again.

use switchhook_core::row::Attempt;
use switchhook_protocol::{
    id::{AttemptId, MethodName},
    time::Timestamp,
};

use crate::{
    cells::{Cells, integer, millis},
    dialect::{Query, Row},
    error::StorageError,
    lifecycle::TenantStorage,
    transaction::Transaction,
};

const GET: &str = "SELECT attempt, method, key, device, plugin_version, state, version, expires_at, finished, profile FROM attempts \
     WHERE tenant = $1 AND attempt = $2";
const BY_KEY: &str = "SELECT attempt, method, key, device, plugin_version, state, version, expires_at, finished, profile FROM attempts \
     WHERE tenant = $1 AND method = $2 AND key = $3 AND finished = 0 AND expires_at > $4";
const DROP_EXPIRED: &str = "DELETE FROM attempts \
     WHERE tenant = $1 AND method = $2 AND key = $3 AND finished = 0 AND expires_at <= $4";
const INSERT: &str = "INSERT INTO attempts \
     (tenant, attempt, method, key, device, plugin_version, state, version, expires_at, finished, profile) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9, $10) ON CONFLICT DO NOTHING";
const UPDATE: &str = "UPDATE attempts SET state = $4, version = version + 1, expires_at = $5, finished = $6, profile = $7 \
     WHERE tenant = $1 AND attempt = $2 AND version = $3";

/// The attempts of a tenant.
#[derive(Debug)]
pub struct Attempts<'a>(&'a TenantStorage);

/// What became of a step that was to be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum PutAttempt {
    /// Stored, under this version.
    Stored(u64),
    /// Another step was committed since, or another attempt has the key: read again.
    Conflict,
}

impl TenantStorage {
    /// The attempts.
    pub const fn attempts(&self) -> Attempts<'_> {
        Attempts(self)
    }
}

impl Attempts<'_> {
    /// The attempt of this id.
    pub async fn get(&self, attempt: &AttemptId) -> Result<Option<Attempt>, StorageError> {
        self.0.storage().one(get(self.0.tenant().as_str(), attempt), decode).await
    }

    /// The unfinished attempt of a method's key.
    pub async fn by_key(
        &self,
        method: &MethodName,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Attempt>, StorageError> {
        let query = with_key(BY_KEY, self.0.tenant().as_str(), (method, key), now);
        self.0.storage().one(query, decode).await
    }
}

impl Transaction<'_> {
    /// The attempt of this id.
    pub async fn attempt(&mut self, attempt: &AttemptId) -> Result<Option<Attempt>, StorageError> {
        let query = get(self.tenant(), attempt);
        self.one(query, decode).await
    }

    /// The unfinished attempt of a method's key.
    pub async fn attempt_by_key(
        &mut self,
        method: &MethodName,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Attempt>, StorageError> {
        let query = with_key(BY_KEY, self.tenant(), (method, key), now);
        self.one(query, decode).await
    }

    /// Stores a step: state, expiry and whether it has finished. `expected` is the version that it was
    /// computed from, 0 for a new attempt; the stored version is one more, whatever the attempt says.
    pub async fn put_attempt(
        &mut self,
        attempt: &Attempt,
        expected: u64,
        now: Timestamp,
    ) -> Result<PutAttempt, StorageError> {
        let stored = if expected == 0 {
            let key = (&attempt.method, attempt.key.as_str());
            let expired = with_key(DROP_EXPIRED, self.tenant(), key, now);
            self.write(expired).await?;
            self.write(insert(self.tenant(), attempt)).await?
        } else {
            self.write(update(self.tenant(), attempt, expected)).await?
        };
        Ok(if stored == 0 { PutAttempt::Conflict } else { PutAttempt::Stored(expected.saturating_add(1)) })
    }
}

fn get(tenant: &str, attempt: &AttemptId) -> Query {
    Query::from(GET).bind(tenant.to_owned()).bind(attempt.as_str().to_owned())
}

fn with_key(
    statement: &'static str,
    tenant: &str,
    (method, key): (&MethodName, &str),
    now: Timestamp,
) -> Query {
    let query = Query::from(statement).bind(tenant.to_owned()).bind(method.as_str().to_owned());
    query.bind(key.to_owned()).bind(millis(now))
}

fn insert(tenant: &str, attempt: &Attempt) -> Query {
    Query::from(INSERT)
        .bind(tenant.to_owned())
        .bind(attempt.id.as_str().to_owned())
        .bind(attempt.method.as_str().to_owned())
        .bind(attempt.key.clone())
        .bind(attempt.device.as_str().to_owned())
        .bind(integer(attempt.plugin_version.into()))
        .bind(attempt.state.clone())
        .bind(millis(attempt.expires_at))
        .bind(i64::from(attempt.finished))
        .bind(attempt.profile.as_ref().map(|profile| profile.as_str().to_owned()))
}

fn update(tenant: &str, attempt: &Attempt, expected: u64) -> Query {
    Query::from(UPDATE)
        .bind(tenant.to_owned())
        .bind(attempt.id.as_str().to_owned())
        .bind(integer(expected))
        .bind(attempt.state.clone())
        .bind(millis(attempt.expires_at))
        .bind(i64::from(attempt.finished))
        .bind(attempt.profile.as_ref().map(|profile| profile.as_str().to_owned()))
}

pub(crate) fn decode(row: &Row) -> Result<Attempt, StorageError> {
    let mut cells = Cells::of("attempts", row);
    let attempt = Attempt {
        id: cells.parsed()?,
        method: cells.parsed()?,
        key: cells.text()?,
        device: cells.parsed()?,
        profile: None,
        plugin_version: cells.number()?,
        state: cells.optional_bytes()?,
        version: cells.number()?,
        expires_at: cells.timestamp()?,
        finished: cells.flag()?,
    };
    Ok(Attempt { profile: cells.optional_parsed()?, ..attempt })
}

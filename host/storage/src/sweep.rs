//! Forgetting what has expired: bounded at each go, so that it never holds the writer for long.

use switchhook_protocol::time::Timestamp;

use crate::{
    batch::lost,
    cells::{Cells, integer, millis},
    conversions::hour,
    dialect::Query,
    error::StorageError,
    lifecycle::Storage,
    limits,
    paths::day,
    transaction::Transaction,
};

const MESSAGES: &str = "DELETE FROM messages WHERE (tenant, device, seq) IN \
     (SELECT tenant, device, seq FROM messages WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2) \
     RETURNING tenant, device, seq";
const SESSIONS: &str = "DELETE FROM sessions WHERE (tenant, session) IN \
     (SELECT tenant, session FROM sessions AS s WHERE expires_at <= $1 AND NOT EXISTS \
         (SELECT 1 FROM participants AS p WHERE p.tenant = s.tenant AND p.session = s.session) \
      ORDER BY expires_at LIMIT $2) \
     RETURNING session, tenant";
const ATTEMPTS: &str = "DELETE FROM attempts WHERE (tenant, attempt) IN \
     (SELECT tenant, attempt FROM attempts WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
const SECRETS: &str = "DELETE FROM secrets WHERE (tenant, kind, secret) IN \
     (SELECT tenant, kind, secret FROM secrets WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
const TRANSIT_ANSWERS: &str = "DELETE FROM transit_answers WHERE (tenant, gateway, message) IN \
     (SELECT tenant, gateway, message FROM transit_answers WHERE at <= $1 ORDER BY at LIMIT $2)";
const ANSWERS: &str = "DELETE FROM answers WHERE (tenant, device, key) IN \
     (SELECT tenant, device, key FROM answers WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
const CONVERSIONS: &str = "DELETE FROM conversions WHERE (tenant, gateway, code, hour) IN \
     (SELECT tenant, gateway, code, hour FROM conversions WHERE hour < $1 ORDER BY hour LIMIT $2)";
const CONVERSIONS_OF_PREFIX: &str = "DELETE FROM conversions_of_prefix WHERE (tenant, prefix, hour) IN \
     (SELECT tenant, prefix, hour FROM conversions_of_prefix WHERE hour < $1 ORDER BY hour LIMIT $2)";
const PATHS: &str = "DELETE FROM path_outcomes WHERE (tenant, networks, day) IN \
     (SELECT tenant, networks, day FROM path_outcomes WHERE day < $1 ORDER BY day LIMIT $2)";
const OUTBOX: &str = "DELETE FROM outbox WHERE (tenant, entry) IN \
     (SELECT tenant, entry FROM outbox WHERE state IN ('sent', 'delivered', 'failed') AND queued_at <= $1 LIMIT $2)";
const DOUBTS: &str = "DELETE FROM outbox WHERE (tenant, entry) IN \
     (SELECT tenant, entry FROM outbox WHERE state = 'in-doubt' AND kind IN ('text', 'mail') AND queued_at <= $1 \
      LIMIT $2)";
const PARTS: &str = "DELETE FROM text_parts WHERE (tenant, gateway, message, number) IN \
     (SELECT tenant, gateway, message, number FROM text_parts WHERE at <= $1 ORDER BY at LIMIT $2)";
const CREDENTIALS: &str = "DELETE FROM credentials WHERE (tenant, profile, device, scope, endpoint) IN \
     (SELECT tenant, profile, device, scope, endpoint FROM credentials WHERE expires_at <= $1 \
      ORDER BY expires_at LIMIT $2)";
const VALIDATIONS: &str = "DELETE FROM validations WHERE (tenant, application, validation) IN \
     (SELECT tenant, application, validation FROM validations WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)";
const NONCES: &str = "DELETE FROM request_nonces WHERE (tenant, device, nonce) IN \
     (SELECT tenant, device, nonce FROM request_nonces WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)";

/// How many rows a sweep has forgotten. Where one is [`limits::SWEEP`], there may be more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Messages that expired unacknowledged.
    pub messages: u64,
    /// Sessions, with all that belonged to them.
    pub sessions: u64,
    /// Attempts.
    pub attempts: u64,
    /// Secrets.
    pub secrets: u64,
    /// Answers to transits.
    pub transit_answers: u64,
    /// Answers to requests with an idempotency key.
    pub answers: u64,
    /// Outbox entries that were performed or refused.
    pub outbox: u64,
    /// Those in doubt for long enough.
    pub doubts: u64,
    /// Nonces of signed requests.
    pub nonces: u64,
    /// Hours of how texts have fared by gateways.
    pub conversions: u64,
    /// Hours of how texts have fared by the beginnings of their numbers.
    pub conversions_of_prefix: u64,
    /// Days of how direct paths have fared.
    pub paths: u64,
    /// Parts of long texts whose rest did not come.
    pub text_parts: u64,
    /// Credentials that are over.
    pub credentials: u64,
    /// Validations whose outcome was there for long enough.
    pub validations: u64,
}

impl Swept {
    /// Whether another sweep would find more.
    pub fn more(&self) -> bool {
        let Self {
            messages,
            sessions,
            attempts,
            secrets,
            transit_answers,
            answers,
            outbox,
            doubts,
            nonces,
            conversions,
            conversions_of_prefix,
            paths,
            text_parts,
            credentials,
            validations,
        } = *self;
        let most = u64::from(limits::SWEEP);
        let rows = [messages, sessions, attempts, secrets, transit_answers, answers, outbox, doubts, nonces];
        rows.into_iter()
            .chain([conversions, conversions_of_prefix, paths, text_parts, credentials, validations])
            .any(|count| count >= most)
    }
}

impl Storage {
    /// Forgets what has expired, at most [`limits::SWEEP`] rows of each kind.
    pub async fn sweep(&self, now: Timestamp) -> Result<Swept, StorageError> {
        self.run("sweep", async move |tx| {
            let before = |age| {
                Timestamp::from_millis(now.as_millis().saturating_sub(switchhook_protocol::time::millis(age)))
            };
            let kept = before(limits::KEPT);
            let doubts = before(limits::DOUBT_KEPT);
            let parts = before(limits::PARTS_KEPT);
            let over = hour(now).saturating_sub(limits::LATELY);
            let old = day(now).saturating_sub(limits::PATHS);
            Ok(Swept {
                messages: sweep_messages(tx, now).await?,
                sessions: sweep_sessions(tx, now).await?,
                attempts: tx.write(Query::from(ATTEMPTS).bind(millis(now)).bind(limits::SWEEP)).await?,
                // Who comes late, or again, is told that.
                secrets: tx.write(Query::from(SECRETS).bind(millis(kept)).bind(limits::SWEEP)).await?,
                transit_answers: tx
                    .write(Query::from(TRANSIT_ANSWERS).bind(millis(kept)).bind(limits::SWEEP))
                    .await?,
                answers: tx.write(Query::from(ANSWERS).bind(millis(now)).bind(limits::SWEEP)).await?,
                outbox: tx.write(Query::from(OUTBOX).bind(millis(kept)).bind(limits::SWEEP)).await?,
                doubts: tx.write(Query::from(DOUBTS).bind(millis(doubts)).bind(limits::SWEEP)).await?,
                nonces: tx.write(Query::from(NONCES).bind(millis(now)).bind(limits::SWEEP)).await?,
                conversions: tx
                    .write(Query::from(CONVERSIONS).bind(integer(over)).bind(limits::SWEEP))
                    .await?,
                conversions_of_prefix: tx
                    .write(Query::from(CONVERSIONS_OF_PREFIX).bind(integer(over)).bind(limits::SWEEP))
                    .await?,
                paths: tx.write(Query::from(PATHS).bind(integer(old)).bind(limits::SWEEP)).await?,
                text_parts: tx.write(Query::from(PARTS).bind(millis(parts)).bind(limits::SWEEP)).await?,
                credentials: tx.write(Query::from(CREDENTIALS).bind(millis(now)).bind(limits::SWEEP)).await?,
                validations: tx
                    .write(Query::from(VALIDATIONS).bind(millis(kept)).bind(limits::SWEEP))
                    .await?,
            })
        })
        .await
    }
}

async fn sweep_messages(tx: &mut Transaction<'_>, now: Timestamp) -> Result<u64, StorageError> {
    let deleted = tx.all(Query::from(MESSAGES).bind(millis(now)).bind(limits::SWEEP), lost).await?;
    tx.lose(&deleted).await?;
    Ok(u64::try_from(deleted.len()).unwrap_or(u64::MAX))
}

async fn sweep_sessions(tx: &mut Transaction<'_>, now: Timestamp) -> Result<u64, StorageError> {
    let query = Query::from(SESSIONS).bind(millis(now)).bind(limits::SWEEP);
    let gone = tx
        .all(query, |row| {
            let mut cells = Cells::of("sessions", row);
            let session = cells.text()?;
            Ok((cells.text()?, session))
        })
        .await?;
    for statement in crate::dialect::FORGET_SESSION {
        tx.many(statement, &gone).await?;
    }
    Ok(u64::try_from(gone.len()).unwrap_or(u64::MAX))
}

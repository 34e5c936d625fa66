//! What differs between databases: the drivers, and some words of the statements that take many rows.
//!
//! Everything else uses the names here and SQL that both understand: `$1`, `ON CONFLICT`, `RETURNING`,
//! ids as text, times as milliseconds. A batch's rows come as one JSON array of arrays; `value ->> n`
//! is a row's n-th value. Each statement names its rows `r`. PostgreSQL's `->>` gives text, so a number
//! is `CAST(value ->> n AS BIGINT)`.
//!
//! A limit that is an argument is written `CAST($n AS BIGINT)`: a bare `$n` there makes SQLite prepare
//! the statement anew each time, in case the number changes its plan.
//!
//! `CROSS JOIN` before the stored table makes SQLite go through the batch and look each row up by its
//! key, never the other way round. PostgreSQL is told the same by settings ([`postgres`]).

mod connection;
pub(crate) mod postgres;
mod query;
pub(crate) mod sqlite;
pub(crate) mod turns;

pub(crate) use connection::{Cell, Connection, Pool, Row};
pub(crate) use query::{Query, Script, Statement};

/// A statement from its pieces: literals, words that each database has its own form of, and such as several
/// statements share.
macro_rules! both {
    ($($piece:tt),+ $(,)?) => {
        Statement { sqlite: concat!($(sqlite!($piece)),+), postgres: concat!($(postgres!($piece)),+) }
    };
}

/// Devices `d` that have registered the identifiers `r`: $1 tenant, $2 application.
macro_rules! registered {
    () => {
        " CROSS JOIN registrations AS g CROSS JOIN devices AS d \
    WHERE g.tenant = $1 AND g.application = $2 AND g.endpoint = r.value \
        AND d.tenant = g.tenant AND d.device = g.device"
    };
}

/// Of these, those of identifiers that do not mind being rung by $4.
macro_rules! unblocked {
    () => {
        " AND NOT EXISTS (SELECT 1 FROM blocks AS b \
            WHERE b.tenant = g.tenant AND b.endpoint = g.endpoint AND b.who = $4)"
    };
}

macro_rules! sqlite {
    (ROWS) => {
        "jsonb_each($1)"
    };
    (IDENTIFIERS) => {
        "jsonb_each($3) AS r"
    };
    (PAYLOAD) => {
        "unhex(value ->> 5)"
    };
    (REGISTERED) => {
        registered!()
    };
    (UNBLOCKED) => {
        unblocked!()
    };
    ($literal:literal) => {
        $literal
    };
}

macro_rules! postgres {
    (ROWS) => {
        "jsonb_array_elements(CAST($1 AS jsonb))"
    };
    (IDENTIFIERS) => {
        "jsonb_array_elements_text(CAST($3 AS jsonb)) WITH ORDINALITY AS r (value, key)"
    };
    (PAYLOAD) => {
        "decode(value ->> 5, 'hex')"
    };
    (REGISTERED) => {
        registered!()
    };
    (UNBLOCKED) => {
        unblocked!()
    };
    ($literal:literal) => {
        $literal
    };
}

/// Begins the writer's transaction. SQLite takes the write lock at once; on PostgreSQL each statement
/// sees what was committed before it began, whatever the database's default is.
pub(crate) const BEGIN: Statement =
    Statement { sqlite: "BEGIN IMMEDIATE", postgres: "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE" };

/// Gives out sequence numbers: (tenant, device, how many). Returns where each mailbox stands then, and
/// how many messages it holds.
pub(crate) const RESERVE: Statement = both!(
    "UPDATE mailboxes SET last_seq = last_seq + r.count \
    FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS device, CAST(value ->> 2 AS BIGINT) AS count FROM ",
    ROWS,
    ") AS r \
    WHERE mailboxes.tenant = r.tenant AND mailboxes.device = r.device \
    RETURNING mailboxes.tenant, mailboxes.device, last_seq, \
        (SELECT count(*) FROM messages AS m WHERE m.tenant = mailboxes.tenant AND m.device = mailboxes.device)",
);

/// Takes back what was given out too much: (tenant, device, last sequence number).
pub(crate) const GIVE_BACK: Statement = both!(
    "UPDATE mailboxes SET last_seq = r.last_seq \
    FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS device, CAST(value ->> 2 AS BIGINT) AS last_seq FROM ",
    ROWS,
    ") AS r \
    WHERE mailboxes.tenant = r.tenant AND mailboxes.device = r.device",
);

/// (tenant, device, sequence number): every message up to there is done with.
pub(crate) const ACKNOWLEDGE: Statement = both!(
    "DELETE FROM messages WHERE (tenant, device, seq) IN ( \
        SELECT m.tenant, m.device, m.seq FROM ",
    ROWS,
    " AS r CROSS JOIN messages AS m \
        WHERE m.tenant = r.value ->> 0 AND m.device = r.value ->> 1 AND m.seq <= CAST(r.value ->> 2 AS BIGINT))",
);

/// (tenant, device, sequence number): every message up to there was sent.
pub(crate) const DELIVERED: Statement = both!(
    "UPDATE mailboxes SET delivered_seq = CASE WHEN r.seq > last_seq THEN last_seq ELSE r.seq END \
    FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS device, CAST(value ->> 2 AS BIGINT) AS seq FROM ",
    ROWS,
    ") AS r \
    WHERE mailboxes.tenant = r.tenant AND mailboxes.device = r.device AND delivered_seq < r.seq",
);

/// (tenant, device, collapse key): drops the messages of that key that were not sent. Returns tenant,
/// device and sequence number of each.
pub(crate) const COLLAPSE: Statement = both!(
    "DELETE FROM messages WHERE (tenant, device, seq) IN ( \
        SELECT m.tenant, m.device, m.seq \
        FROM ",
    ROWS,
    " AS r CROSS JOIN mailboxes AS b CROSS JOIN messages AS m \
        WHERE b.tenant = r.value ->> 0 AND b.device = r.value ->> 1 \
            AND m.tenant = b.tenant AND m.device = b.device \
            AND m.collapse_key = r.value ->> 2 AND m.seq > b.delivered_seq) \
    RETURNING tenant, device, seq",
);

/// (tenant, device, sequence number): messages up to there may be missing.
pub(crate) const LOSE: Statement = both!(
    "UPDATE mailboxes SET lost_seq = r.seq \
    FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS device, CAST(value ->> 2 AS BIGINT) AS seq FROM ",
    ROWS,
    ") AS r \
    WHERE mailboxes.tenant = r.tenant AND mailboxes.device = r.device AND lost_seq < r.seq",
);

/// Messages with their sequence numbers.
pub(crate) const APPEND: Statement = both!(
    "INSERT INTO messages (tenant, device, seq, message, event, expires_at, collapse_key) \
    SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS BIGINT), value ->> 3, value ->> 4, \
        CAST(value ->> 5 AS BIGINT), value ->> 6 \
    FROM ",
    ROWS,
    " AS r",
);

/// Sessions.
pub(crate) const OPEN_SESSION: Statement = both!(
    "INSERT INTO sessions \
        (tenant, session, application, inviter, inviter_endpoint, purpose, created_at, expires_at, generation, \
         routing, take) \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
        CAST(value ->> 6 AS BIGINT), CAST(value ->> 7 AS BIGINT), CAST(value ->> 8 AS BIGINT), value ->> 9, \
        value ->> 10 \
    FROM ",
    ROWS,
    " AS r",
);

/// Invitations.
pub(crate) const OPEN_INVITATION: Statement = both!(
    "INSERT INTO invitations (tenant, session, position, endpoint, state, taken_by, rings_until, course) \
    SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS BIGINT), value ->> 3, value ->> 4, \
        value ->> 5, CAST(value ->> 6 AS BIGINT), value ->> 7 \
    FROM ",
    ROWS,
    " AS r",
);

/// Legs; one that is rung again begins anew.
pub(crate) const OPEN_LEG: Statement = both!(
    "INSERT INTO legs (tenant, session, device, position, wave, state, lease_until, ring, changed_at, \
        queued_at, pushed_at, rang_at, ended_at, silent_at) \
    SELECT value ->> 0, value ->> 1, value ->> 2, CAST(value ->> 3 AS BIGINT), \
        CAST(value ->> 4 AS BIGINT), value ->> 5, CAST(value ->> 6 AS BIGINT), value ->> 7, \
        CAST(value ->> 8 AS BIGINT), CAST(value ->> 9 AS BIGINT), CAST(value ->> 10 AS BIGINT), \
        CAST(value ->> 11 AS BIGINT), CAST(value ->> 12 AS BIGINT), CAST(value ->> 13 AS BIGINT) \
    FROM ",
    ROWS,
    " AS r WHERE true \
    ON CONFLICT (tenant, session, device) DO UPDATE \
    SET position = excluded.position, wave = excluded.wave, state = excluded.state, \
        lease_until = excluded.lease_until, ring = excluded.ring, changed_at = excluded.changed_at, \
        queued_at = excluded.queued_at, pushed_at = excluded.pushed_at, rang_at = excluded.rang_at, \
        ended_at = excluded.ended_at, silent_at = excluded.silent_at",
);

/// (tenant, session, position, state, taken by).
pub(crate) const SET_INVITATION: Statement = both!(
    "UPDATE invitations SET state = r.state, taken_by = r.taken_by \
    FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS session, \
        CAST(value ->> 2 AS BIGINT) AS position, value ->> 3 AS state, \
        value ->> 4 AS taken_by FROM ",
    ROWS,
    ") AS r \
    WHERE invitations.tenant = r.tenant AND invitations.session = r.session AND invitations.position = r.position",
);

/// (tenant, session, device, state, when, milestones): a milestone that was reached before stays.
pub(crate) const SET_LEG: Statement = both!(
    "UPDATE legs SET state = r.state, changed_at = r.changed_at, queued_at = coalesce(queued_at, r.queued), \
        pushed_at = coalesce(pushed_at, r.pushed), rang_at = coalesce(rang_at, r.rang), \
        ended_at = coalesce(ended_at, r.ended), silent_at = coalesce(silent_at, r.silent) \
    FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS session, value ->> 2 AS device, value ->> 3 AS state, \
        CAST(value ->> 4 AS BIGINT) AS changed_at, CAST(value ->> 5 AS BIGINT) AS queued, \
        CAST(value ->> 6 AS BIGINT) AS pushed, CAST(value ->> 7 AS BIGINT) AS rang, \
        CAST(value ->> 8 AS BIGINT) AS ended, CAST(value ->> 9 AS BIGINT) AS silent FROM ",
    ROWS,
    ") AS r \
    WHERE legs.tenant = r.tenant AND legs.session = r.session AND legs.device = r.device",
);

/// (tenant, session, device, when): pushed, if it waited. What went on meanwhile stays as it is, and has the
/// milestone too.
pub(crate) const PUSHED: Statement = both!(
    "UPDATE legs SET state = CASE legs.state WHEN 'queued' THEN 'pushed' ELSE legs.state END, \
        changed_at = CASE legs.state WHEN 'queued' THEN r.changed_at ELSE legs.changed_at END, \
        pushed_at = r.changed_at \
    FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS session, value ->> 2 AS device, \
        CAST(value ->> 3 AS BIGINT) AS changed_at \
        FROM ",
    ROWS,
    ") AS r \
    WHERE legs.tenant = r.tenant AND legs.session = r.session AND legs.device = r.device \
        AND (legs.state = 'queued' OR legs.queued_at IS NOT NULL AND legs.pushed_at IS NULL \
            AND (legs.ended_at IS NULL OR legs.ended_at >= r.changed_at))",
);

/// Participants; one who takes part already stays as it is.
pub(crate) const JOIN: Statement = both!(
    "INSERT INTO participants (tenant, session, device, endpoint, kind, position, joined_at, seen_at) \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, CAST(value ->> 5 AS BIGINT), \
        CAST(value ->> 6 AS BIGINT), CAST(value ->> 7 AS BIGINT) \
    FROM ",
    ROWS,
    " AS r WHERE true \
    ON CONFLICT (tenant, session, device) DO NOTHING",
);

/// (tenant, session, device): takes part no more.
pub(crate) const LEAVE: Statement = both!(
    "DELETE FROM participants WHERE (tenant, session, device) IN \
        (SELECT value ->> 0, value ->> 1, value ->> 2 FROM ",
    ROWS,
    " AS r)",
);

/// (tenant, session, device, when): alive.
pub(crate) const SEEN: Statement = both!(
    "UPDATE participants SET seen_at = r.seen_at \
    FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS session, value ->> 2 AS device, \
        CAST(value ->> 3 AS BIGINT) AS seen_at FROM ",
    ROWS,
    ") AS r \
    WHERE participants.tenant = r.tenant AND participants.session = r.session AND participants.device = r.device \
        AND participants.seen_at < r.seen_at",
);

/// (tenant, session, position, course).
pub(crate) const SET_COURSE: Statement = both!(
    "UPDATE invitations SET course = r.course \
    FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS session, CAST(value ->> 2 AS BIGINT) AS position, \
        value ->> 3 AS course FROM ",
    ROWS,
    ") AS r \
    WHERE invitations.tenant = r.tenant AND invitations.session = r.session AND invitations.position = r.position",
);

/// (tenant, session, position, until).
pub(crate) const RING_UNTIL: Statement = both!(
    "UPDATE invitations SET rings_until = r.until \
    FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS session, CAST(value ->> 2 AS BIGINT) AS position, \
        CAST(value ->> 3 AS BIGINT) AS until FROM ",
    ROWS,
    ") AS r \
    WHERE invitations.tenant = r.tenant AND invitations.session = r.session AND invitations.position = r.position",
);

/// (tenant, session, generation).
pub(crate) const SET_GENERATION: Statement = both!(
    "UPDATE sessions SET generation = r.generation \
    FROM (SELECT value ->> 0 AS tenant, value ->> 1 AS session, CAST(value ->> 2 AS BIGINT) AS generation FROM ",
    ROWS,
    ") AS r \
    WHERE sessions.tenant = r.tenant AND sessions.session = r.session",
);

/// (tenant, session, position, identifier, when): forwards; one that is known stays as it is.
pub(crate) const FORWARD: Statement = both!(
    "INSERT INTO forwards (tenant, session, position, endpoint, at) \
    SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS BIGINT), value ->> 3, CAST(value ->> 4 AS BIGINT) FROM ",
    ROWS,
    " AS r WHERE true \
    ON CONFLICT (tenant, session, position, endpoint) DO NOTHING",
);

/// Decisions, each with its place among its session's of the batch; a session keeps the first of them, as many
/// as they say.
pub(crate) const DECIDE: Statement = both!(
    "INSERT INTO decisions (tenant, session, number, at, slot, plugin, version, outcome, failure, micros) \
    SELECT tenant, session, number, CAST(value ->> 3 AS BIGINT), value ->> 4, value ->> 5, \
        CAST(value ->> 6 AS BIGINT), value ->> 7, value ->> 8, CAST(value ->> 9 AS BIGINT) \
    FROM (SELECT value, value ->> 0 AS tenant, value ->> 1 AS session, CAST(value ->> 2 AS BIGINT) \
        + (SELECT count(*) FROM decisions AS d \
            WHERE d.tenant = value ->> 0 AND d.session = value ->> 1) AS number \
        FROM ",
    ROWS,
    ") AS r WHERE number < CAST(value ->> 10 AS BIGINT)",
);

/// (tenant, session): its timers are gone.
pub(crate) const DISARM: Statement = both!(
    "DELETE FROM timers WHERE (tenant, session) IN (SELECT value ->> 0, value ->> 1 FROM ",
    ROWS,
    " AS r)",
);

/// (tenant, session): all that belongs to a session is gone.
pub(crate) const FORGET_SESSION: [Statement; 5] = [
    both!(
        "DELETE FROM invitations WHERE (tenant, session) IN (SELECT value ->> 0, value ->> 1 FROM ",
        ROWS,
        " AS r)",
    ),
    both!(
        "DELETE FROM legs WHERE (tenant, session) IN (SELECT value ->> 0, value ->> 1 FROM ",
        ROWS,
        " AS r)"
    ),
    both!(
        "DELETE FROM forwards WHERE (tenant, session) IN (SELECT value ->> 0, value ->> 1 FROM ",
        ROWS,
        " AS r)"
    ),
    both!(
        "DELETE FROM decisions WHERE (tenant, session) IN (SELECT value ->> 0, value ->> 1 FROM ",
        ROWS,
        " AS r)"
    ),
    DISARM,
];

/// Timers; one that is armed again gets the new time, and begins anew. (`WHERE true` tells SQLite that `ON` begins no join.)
pub(crate) const ARM: Statement = both!(
    "INSERT INTO timers (tenant, session, kind, number, due_at) \
    SELECT value ->> 0, value ->> 1, value ->> 2, CAST(value ->> 3 AS BIGINT), CAST(value ->> 4 AS BIGINT) FROM ",
    ROWS,
    " AS r WHERE true \
    ON CONFLICT (tenant, session, kind, number) DO UPDATE SET due_at = excluded.due_at, tries = 0",
);

/// (tenant, device, key, digest, answer, expiry): what requests were answered with.
pub(crate) const KEEP: Statement = both!(
    "INSERT INTO answers (tenant, device, key, digest, answer, expires_at) \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, CAST(value ->> 5 AS BIGINT) FROM ",
    ROWS,
    " AS r",
);

/// Outbox entries, payloads in hexadecimal.
pub(crate) const ENQUEUE: Statement = both!(
    "INSERT INTO outbox (tenant, entry, kind, attempt, gateway, payload, state, queued_at) \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, ",
    PAYLOAD,
    ", value ->> 6, \
        CAST(value ->> 7 AS BIGINT) \
    FROM ",
    ROWS,
    " AS r",
);

/// Those that take part of (tenant, session, device).
pub(crate) const TAKING_PART: Statement = both!(
    "SELECT p.tenant, p.session, p.device FROM ",
    ROWS,
    " AS r CROSS JOIN participants AS p \
    WHERE p.tenant = value ->> 0 AND p.session = value ->> 1 AND p.device = value ->> 2",
);

/// The registrations of many identifiers: $1 tenant, $2 application, $3 the identifiers.
pub(crate) const TARGETS: Statement = both!(
    "SELECT d.device, g.endpoint, d.kind \
    FROM ",
    IDENTIFIERS,
    REGISTERED,
    " ORDER BY r.key, d.device",
);

/// The same without those who do not want to be rung by the fourth argument.
pub(crate) const RUNG_BY: Statement = both!(
    "SELECT d.device, g.endpoint, d.kind \
    FROM ",
    IDENTIFIERS,
    REGISTERED,
    UNBLOCKED,
    " ORDER BY r.key, d.device",
);

/// The same, for a device of the fifth argument: before everything a row without a key if the fourth is its own.
pub(crate) const RUNG_FROM: Statement = both!(
    "SELECT device, endpoint, '' AS kind, -1 AS key FROM registrations \
    WHERE tenant = $1 AND device = $5 AND endpoint = $4 \
    UNION ALL \
    SELECT d.device, g.endpoint, d.kind, r.key \
    FROM ",
    IDENTIFIERS,
    REGISTERED,
    UNBLOCKED,
    " ORDER BY 4, 1",
);

#[cfg(test)]
mod tests {
    use super::*;

    /// A scan of a stored table would make each commit as slow as the table is long.
    #[tokio::test]
    async fn batches_look_their_rows_up_by_key() {
        let mut connection =
            <sqlx::SqliteConnection as sqlx::Connection>::connect("sqlite::memory:").await.unwrap();
        sqlx::migrate!("../../migrations/sqlite").run(&mut connection).await.unwrap();
        let statements = [
            RESERVE,
            GIVE_BACK,
            ACKNOWLEDGE,
            DELIVERED,
            COLLAPSE,
            LOSE,
            APPEND,
            OPEN_SESSION,
            OPEN_INVITATION,
            OPEN_LEG,
            SET_INVITATION,
            SET_LEG,
            PUSHED,
            JOIN,
            LEAVE,
            SEEN,
            SET_GENERATION,
            SET_COURSE,
            RING_UNTIL,
            FORWARD,
            DECIDE,
            DISARM,
            ARM,
            KEEP,
            ENQUEUE,
            TAKING_PART,
            TARGETS,
            RUNG_BY,
            RUNG_FROM,
            FORGET_SESSION[0],
            FORGET_SESSION[1],
            FORGET_SESSION[2],
            FORGET_SESSION[3],
        ];
        for statement in statements {
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", statement.sqlite));
            let plan =
                sqlx::query(explain).bind("[]").bind("").bind("[]").fetch_all(&mut connection).await.unwrap();
            for step in plan {
                let step: String = sqlx::Row::get(&step, "detail");
                let of_batch = step.contains("VIRTUAL TABLE") || step == "SCAN r";
                assert!(!step.starts_with("SCAN") || of_batch, "{step}\n{}", statement.sqlite);
            }
        }
    }
}

-- No foreign keys here: these are the hot tables, written many in one statement, and what opens
-- a session opens its invitations, legs and timers in the same transaction.
CREATE TABLE sessions (
    tenant           TEXT    NOT NULL,
    session          TEXT    NOT NULL,
    application      TEXT    NOT NULL,
    inviter          TEXT    NOT NULL,
    inviter_endpoint TEXT    NOT NULL,
    purpose          TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL,
    PRIMARY KEY (tenant, session)
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- One a user who is invited.
CREATE TABLE invitations (
    tenant      TEXT    NOT NULL,
    session     TEXT    NOT NULL,
    -- Of the user among the invited.
    position    INTEGER NOT NULL,
    endpoint    TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    taken_by    TEXT,
    rings_until INTEGER NOT NULL,
    PRIMARY KEY (tenant, session, position)
) STRICT, WITHOUT ROWID;

-- One a device that is rung.
CREATE TABLE legs (
    tenant      TEXT    NOT NULL,
    session     TEXT    NOT NULL,
    device      TEXT    NOT NULL,
    position    INTEGER NOT NULL,
    wave        INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    lease_until INTEGER NOT NULL,
    -- The message's event, waiting for its wave.
    ring        TEXT,
    changed_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant, session, device)
) STRICT, WITHOUT ROWID;

-- What is to be done later.
CREATE TABLE timers (
    tenant  TEXT    NOT NULL,
    session TEXT    NOT NULL,
    kind    TEXT    NOT NULL,
    -- The wave, or the user.
    number  INTEGER NOT NULL,
    due_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant, session, kind, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX timers_by_time ON timers (due_at);

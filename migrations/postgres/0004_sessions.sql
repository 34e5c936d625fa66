-- No foreign keys here: these are the hot tables, written many in one statement, and what opens
-- a session opens its invitations, legs and timers in the same transaction.
CREATE TABLE sessions (
    tenant           TEXT COLLATE "C" NOT NULL,
    session          TEXT COLLATE "C" NOT NULL,
    application      TEXT COLLATE "C" NOT NULL,
    inviter          TEXT COLLATE "C" NOT NULL,
    inviter_endpoint TEXT COLLATE "C" NOT NULL,
    purpose          TEXT COLLATE "C" NOT NULL,
    created_at       BIGINT NOT NULL,
    expires_at       BIGINT NOT NULL,
    PRIMARY KEY (tenant, session)
);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- One a user who is invited.
CREATE TABLE invitations (
    tenant      TEXT COLLATE "C" NOT NULL,
    session     TEXT COLLATE "C" NOT NULL,
    -- Of the user among the invited.
    position    BIGINT NOT NULL,
    endpoint    TEXT COLLATE "C" NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,
    taken_by    TEXT COLLATE "C",
    rings_until BIGINT NOT NULL,
    PRIMARY KEY (tenant, session, position)
);

-- One a device that is rung.
CREATE TABLE legs (
    tenant      TEXT COLLATE "C" NOT NULL,
    session     TEXT COLLATE "C" NOT NULL,
    device      TEXT COLLATE "C" NOT NULL,
    position    BIGINT NOT NULL,
    wave        BIGINT NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,
    lease_until BIGINT NOT NULL,
    -- The message's event, waiting for its wave.
    ring        TEXT COLLATE "C",
    changed_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant, session, device)
);

-- What is to be done later.
CREATE TABLE timers (
    tenant  TEXT COLLATE "C" NOT NULL,
    session TEXT COLLATE "C" NOT NULL,
    kind    TEXT COLLATE "C" NOT NULL,
    -- The wave, or the user.
    number  BIGINT NOT NULL,
    due_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant, session, kind, number)
);
CREATE INDEX timers_by_time ON timers (due_at);

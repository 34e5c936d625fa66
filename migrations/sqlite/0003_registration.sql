-- Registrations under way.
CREATE TABLE attempts (
    tenant     TEXT    NOT NULL REFERENCES tenants,
    attempt    TEXT    NOT NULL,
    method     TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    device     TEXT    NOT NULL,
    state      BLOB,
    -- Counts commits, from 1; a commit names the one that it read.
    version    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    finished   INTEGER NOT NULL,
    PRIMARY KEY (tenant, attempt)
) STRICT, WITHOUT ROWID;
-- One of a key at a time; finished ones are kept for their answers.
CREATE UNIQUE INDEX attempts_by_key ON attempts (tenant, method, key) WHERE finished = 0;
CREATE INDEX attempts_by_expiry ON attempts (expires_at);

-- What the host made and checks once.
CREATE TABLE secrets (
    tenant     TEXT    NOT NULL REFERENCES tenants,
    secret     TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    attempt    TEXT    NOT NULL,
    endpoint   TEXT    NOT NULL,
    device     TEXT    NOT NULL,
    key_id     BLOB    NOT NULL,
    digest     BLOB    NOT NULL,
    tries_left INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER,
    PRIMARY KEY (tenant, kind, secret)
) STRICT, WITHOUT ROWID;
CREATE INDEX secrets_by_expiry ON secrets (expires_at);

-- SMS transits.
CREATE TABLE gateways (
    tenant   TEXT NOT NULL REFERENCES tenants,
    gateway  TEXT NOT NULL,
    number   TEXT NOT NULL,
    send_url TEXT NOT NULL,
    secret   BLOB NOT NULL,
    PRIMARY KEY (tenant, gateway)
) STRICT, WITHOUT ROWID;

-- What a transit's message was answered with; a repeat gets the same.
CREATE TABLE transit_answers (
    tenant  TEXT    NOT NULL REFERENCES tenants,
    gateway TEXT    NOT NULL,
    message TEXT    NOT NULL,
    digest  BLOB    NOT NULL,
    status  INTEGER NOT NULL,
    answer  TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (tenant, gateway, message)
) STRICT, WITHOUT ROWID;
CREATE INDEX transit_answers_by_time ON transit_answers (at);

-- Effects on the outside: committed with their cause, performed afterwards.
CREATE TABLE outbox (
    tenant    TEXT    NOT NULL,
    entry     TEXT    NOT NULL,
    attempt   TEXT    NOT NULL,
    gateway   TEXT    NOT NULL,
    payload   BLOB    NOT NULL,
    state     TEXT    NOT NULL,
    queued_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, entry)
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_by_state ON outbox (state, queued_at);

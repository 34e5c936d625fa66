-- Registrations under way.
CREATE TABLE attempts (
    tenant     TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    attempt    TEXT COLLATE "C" NOT NULL,
    method     TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL,
    device     TEXT COLLATE "C" NOT NULL,
    state      BYTEA,
    -- Counts commits, from 1; a commit names the one that it read.
    version    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    finished   BIGINT NOT NULL,
    PRIMARY KEY (tenant, attempt)
);
-- One of a key at a time; finished ones are kept for their answers.
CREATE UNIQUE INDEX attempts_by_key ON attempts (tenant, method, key) WHERE finished = 0;
CREATE INDEX attempts_by_expiry ON attempts (expires_at);

-- What the host made and checks once.
CREATE TABLE secrets (
    tenant     TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    secret     TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    attempt    TEXT COLLATE "C" NOT NULL,
    endpoint   TEXT COLLATE "C" NOT NULL,
    device     TEXT COLLATE "C" NOT NULL,
    key_id     BYTEA NOT NULL,
    digest     BYTEA NOT NULL,
    tries_left BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT,
    PRIMARY KEY (tenant, kind, secret)
);
CREATE INDEX secrets_by_expiry ON secrets (expires_at);

-- SMS transits.
CREATE TABLE gateways (
    tenant   TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    gateway  TEXT COLLATE "C" NOT NULL,
    number   TEXT COLLATE "C" NOT NULL,
    send_url TEXT COLLATE "C" NOT NULL,
    secret   BYTEA NOT NULL,
    PRIMARY KEY (tenant, gateway)
);

-- What a transit's message was answered with; a repeat gets the same.
CREATE TABLE transit_answers (
    tenant  TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    gateway TEXT COLLATE "C" NOT NULL,
    message TEXT COLLATE "C" NOT NULL,
    digest  BYTEA NOT NULL,
    status  BIGINT NOT NULL,
    answer  TEXT COLLATE "C" NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (tenant, gateway, message)
);
CREATE INDEX transit_answers_by_time ON transit_answers (at);

-- Effects on the outside: committed with their cause, performed afterwards.
CREATE TABLE outbox (
    tenant    TEXT COLLATE "C" NOT NULL,
    entry     TEXT COLLATE "C" NOT NULL,
    attempt   TEXT COLLATE "C" NOT NULL,
    gateway   TEXT COLLATE "C" NOT NULL,
    payload   BYTEA NOT NULL,
    state     TEXT COLLATE "C" NOT NULL,
    queued_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, entry)
);
CREATE INDEX outbox_by_state ON outbox (state, queued_at);

-- What an effect is, and so what is promised of it: texts at most once, requests at least once.
-- An attempt without a gateway can send requests.
CREATE TABLE outbox_by_kind (
    tenant    TEXT COLLATE "C" NOT NULL,
    entry     TEXT COLLATE "C" NOT NULL,
    kind      TEXT COLLATE "C" NOT NULL,
    attempt   TEXT COLLATE "C" NOT NULL,
    gateway   TEXT COLLATE "C",
    payload   BYTEA NOT NULL,
    state     TEXT COLLATE "C" NOT NULL,
    queued_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, entry)
);
INSERT INTO outbox_by_kind (tenant, entry, kind, attempt, gateway, payload, state, queued_at)
SELECT tenant, entry, 'text', attempt, gateway, payload, state, queued_at FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_by_kind RENAME TO outbox;
CREATE INDEX outbox_by_state ON outbox (state, kind, queued_at);

-- What a tenant's plugins keep between their calls.
CREATE TABLE pairs (
    tenant TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    key    TEXT COLLATE "C" NOT NULL,
    value  BYTEA NOT NULL,
    PRIMARY KEY (tenant, key)
);

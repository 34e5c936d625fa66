-- What an effect is, and so what is promised of it: texts at most once, requests at least once.
-- An attempt without a gateway can send requests.
CREATE TABLE outbox_by_kind (
    tenant    TEXT    NOT NULL,
    entry     TEXT    NOT NULL,
    kind      TEXT    NOT NULL,
    attempt   TEXT    NOT NULL,
    gateway   TEXT,
    payload   BLOB    NOT NULL,
    state     TEXT    NOT NULL,
    queued_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, entry)
) STRICT, WITHOUT ROWID;
INSERT INTO outbox_by_kind (tenant, entry, kind, attempt, gateway, payload, state, queued_at)
SELECT tenant, entry, 'text', attempt, gateway, payload, state, queued_at FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_by_kind RENAME TO outbox;
CREATE INDEX outbox_by_state ON outbox (state, kind, queued_at);

-- What a tenant's plugins keep between their calls.
CREATE TABLE pairs (
    tenant TEXT NOT NULL REFERENCES tenants,
    key    TEXT NOT NULL,
    value  BLOB NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

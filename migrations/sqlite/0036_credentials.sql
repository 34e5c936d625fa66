-- Credentials that count, the newest of their kind; '' for no address.
CREATE TABLE credentials (
    tenant     TEXT    NOT NULL,
    profile    TEXT    NOT NULL,
    device     TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    endpoint   TEXT    NOT NULL,
    serial     TEXT    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, profile, device, scope, endpoint)
) STRICT, WITHOUT ROWID;
CREATE INDEX credentials_by_device ON credentials (tenant, device);
CREATE INDEX credentials_by_expiry ON credentials (expires_at);

-- When an attempt is asked again; any node takes it up.
CREATE TABLE deadlines (
    tenant  TEXT    NOT NULL,
    attempt TEXT    NOT NULL,
    due_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX deadlines_by_time ON deadlines (due_at);

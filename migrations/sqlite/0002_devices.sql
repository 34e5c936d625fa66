CREATE TABLE devices (
    tenant          TEXT    NOT NULL REFERENCES tenants,
    device          TEXT    NOT NULL,
    application     TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    key_algorithm   TEXT    NOT NULL,
    key_public      BLOB    NOT NULL,
    push_token_hash BLOB    NOT NULL,
    enrolled_at     INTEGER NOT NULL,
    PRIMARY KEY (tenant, device)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX devices_by_push_token ON devices (tenant, push_token_hash);

-- Where a device's mailbox stands: a small row of its own, as each message changes it.
CREATE TABLE mailboxes (
    tenant        TEXT    NOT NULL,
    device        TEXT    NOT NULL,
    -- The incarnation that the sequence numbers count in.
    epoch         TEXT    NOT NULL,
    -- The last sequence number given out.
    last_seq      INTEGER NOT NULL DEFAULT 0,
    -- The highest sequence number of a message that expired or collapsed before its acknowledgement.
    lost_seq      INTEGER NOT NULL DEFAULT 0,
    -- Up to here messages were sent on a connection.
    delivered_seq INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, device),
    FOREIGN KEY (tenant, device) REFERENCES devices
) STRICT, WITHOUT ROWID;

-- No foreign key: an append has read the mailbox's row in the same transaction.
CREATE TABLE messages (
    tenant       TEXT    NOT NULL,
    device       TEXT    NOT NULL,
    seq          INTEGER NOT NULL,
    message      TEXT    NOT NULL,
    event        TEXT    NOT NULL,
    expires_at   INTEGER NOT NULL,
    collapse_key TEXT,
    PRIMARY KEY (tenant, device, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_by_expiry ON messages (expires_at);
CREATE INDEX messages_by_collapse_key ON messages (tenant, device, collapse_key) WHERE collapse_key IS NOT NULL;

-- Proven associations of an identifier and a device.
CREATE TABLE registrations (
    tenant        TEXT    NOT NULL,
    device        TEXT    NOT NULL,
    endpoint      TEXT    NOT NULL,
    application   TEXT    NOT NULL,
    method        TEXT    NOT NULL,
    registered_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, device, endpoint),
    FOREIGN KEY (tenant, device) REFERENCES devices
) STRICT, WITHOUT ROWID;
CREATE INDEX registrations_by_endpoint ON registrations (tenant, application, endpoint);

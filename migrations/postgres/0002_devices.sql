CREATE TABLE devices (
    tenant          TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    device          TEXT COLLATE "C" NOT NULL,
    application     TEXT COLLATE "C" NOT NULL,
    kind            TEXT COLLATE "C" NOT NULL,
    key_algorithm   TEXT COLLATE "C" NOT NULL,
    key_public      BYTEA NOT NULL,
    push_token_hash BYTEA NOT NULL,
    enrolled_at     BIGINT NOT NULL,
    PRIMARY KEY (tenant, device)
);
CREATE UNIQUE INDEX devices_by_push_token ON devices (tenant, push_token_hash);

-- Where a device's mailbox stands: a small row of its own, as each message changes it.
CREATE TABLE mailboxes (
    tenant        TEXT COLLATE "C" NOT NULL,
    device        TEXT COLLATE "C" NOT NULL,
    -- The incarnation that the sequence numbers count in.
    epoch         TEXT COLLATE "C" NOT NULL,
    -- The last sequence number given out.
    last_seq      BIGINT NOT NULL DEFAULT 0,
    -- The highest sequence number of a message that expired or collapsed before its acknowledgement.
    lost_seq      BIGINT NOT NULL DEFAULT 0,
    -- Up to here messages were sent on a connection.
    delivered_seq BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant, device),
    FOREIGN KEY (tenant, device) REFERENCES devices
);

-- No foreign key: an append has read the mailbox's row in the same transaction.
CREATE TABLE messages (
    tenant       TEXT COLLATE "C" NOT NULL,
    device       TEXT COLLATE "C" NOT NULL,
    seq          BIGINT NOT NULL,
    message      TEXT COLLATE "C" NOT NULL,
    event        TEXT COLLATE "C" NOT NULL,
    expires_at   BIGINT NOT NULL,
    collapse_key TEXT COLLATE "C",
    PRIMARY KEY (tenant, device, seq)
);
CREATE INDEX messages_by_expiry ON messages (expires_at);
CREATE INDEX messages_by_collapse_key ON messages (tenant, device, collapse_key) WHERE collapse_key IS NOT NULL;

-- Proven associations of an identifier and a device.
CREATE TABLE registrations (
    tenant        TEXT COLLATE "C" NOT NULL,
    device        TEXT COLLATE "C" NOT NULL,
    endpoint      TEXT COLLATE "C" NOT NULL,
    application   TEXT COLLATE "C" NOT NULL,
    method        TEXT COLLATE "C" NOT NULL,
    registered_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, device, endpoint),
    FOREIGN KEY (tenant, device) REFERENCES devices
);
CREATE INDEX registrations_by_endpoint ON registrations (tenant, application, endpoint);

-- Credentials that count, the newest of their kind; '' for no address.
CREATE TABLE credentials (
    tenant     TEXT COLLATE "C" NOT NULL,
    profile    TEXT COLLATE "C" NOT NULL,
    device     TEXT COLLATE "C" NOT NULL,
    scope      TEXT COLLATE "C" NOT NULL,
    endpoint   TEXT COLLATE "C" NOT NULL,
    serial     TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, profile, device, scope, endpoint)
);
CREATE INDEX credentials_by_device ON credentials (tenant, device);
CREATE INDEX credentials_by_expiry ON credentials (expires_at);

-- When an attempt is asked again; any node takes it up.
CREATE TABLE deadlines (
    tenant  TEXT COLLATE "C" NOT NULL,
    attempt TEXT COLLATE "C" NOT NULL,
    due_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant, attempt)
);
CREATE INDEX deadlines_by_time ON deadlines (due_at);

-- What requests with an idempotency key were answered with; a repeat gets the same.
CREATE TABLE answers (
    tenant     TEXT COLLATE "C" NOT NULL,
    device     TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL,
    -- SHA-256 of the request, hexadecimal.
    digest     TEXT COLLATE "C" NOT NULL,
    answer     TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, device, key)
);
CREATE INDEX answers_by_expiry ON answers (expires_at);

-- What requests with an idempotency key were answered with; a repeat gets the same.
CREATE TABLE answers (
    tenant     TEXT    NOT NULL,
    device     TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    -- SHA-256 of the request, hexadecimal.
    digest     TEXT    NOT NULL,
    answer     TEXT    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, device, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX answers_by_expiry ON answers (expires_at);

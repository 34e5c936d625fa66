-- Mail addresses that applications have validated, for no device (REG-18). The mail in the outbox and the token in
-- secrets have the validation's `attempt` for theirs.
CREATE TABLE validations (
    tenant       TEXT    NOT NULL REFERENCES tenants,
    application  TEXT    NOT NULL,
    -- The application's own name for it.
    validation   TEXT    NOT NULL,
    attempt      TEXT    NOT NULL,
    address      TEXT    NOT NULL,
    asked_at     INTEGER NOT NULL,
    -- The token's end; the outcome can be looked up for longer.
    expires_at   INTEGER NOT NULL,
    validated_at INTEGER,
    PRIMARY KEY (tenant, application, validation)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX validations_by_attempt ON validations (tenant, attempt);
CREATE INDEX validations_by_address ON validations (tenant, address);
CREATE INDEX validations_by_expiry ON validations (expires_at);

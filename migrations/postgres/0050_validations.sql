-- Mail addresses that applications have validated, for no device (REG-18). The mail in the outbox and the token in
-- secrets have the validation's `attempt` for theirs.
CREATE TABLE validations (
    tenant       TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    application  TEXT COLLATE "C" NOT NULL,
    -- The application's own name for it.
    validation   TEXT COLLATE "C" NOT NULL,
    attempt      TEXT COLLATE "C" NOT NULL,
    address      TEXT COLLATE "C" NOT NULL,
    asked_at     BIGINT NOT NULL,
    -- The token's end; the outcome can be looked up for longer.
    expires_at   BIGINT NOT NULL,
    validated_at BIGINT,
    PRIMARY KEY (tenant, application, validation)
);
CREATE UNIQUE INDEX validations_by_attempt ON validations (tenant, attempt);
CREATE INDEX validations_by_address ON validations (tenant, address);
CREATE INDEX validations_by_expiry ON validations (expires_at);

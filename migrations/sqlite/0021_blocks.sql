-- By whom a user does not want to be rung.
CREATE TABLE blocks (
    tenant   TEXT    NOT NULL REFERENCES tenants,
    -- The user's own.
    endpoint TEXT    NOT NULL,
    who      TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (tenant, endpoint, who)
) STRICT, WITHOUT ROWID;

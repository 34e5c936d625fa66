-- What requests of plugins carry and nobody reads back.
CREATE TABLE plugin_secrets (
    tenant TEXT NOT NULL REFERENCES tenants,
    slot   TEXT NOT NULL,
    name   TEXT NOT NULL,
    secret TEXT NOT NULL,
    -- Sealed.
    value  BLOB NOT NULL,
    PRIMARY KEY (tenant, slot, name, secret)
) STRICT, WITHOUT ROWID;

-- What requests of plugins carry and nobody reads back.
CREATE TABLE plugin_secrets (
    tenant TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    slot   TEXT COLLATE "C" NOT NULL,
    name   TEXT COLLATE "C" NOT NULL,
    secret TEXT COLLATE "C" NOT NULL,
    -- Sealed.
    value  BYTEA NOT NULL,
    PRIMARY KEY (tenant, slot, name, secret)
);

-- Uploaded components, by the SHA-256 of their bytes.
CREATE TABLE artifacts (
    tenant TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    digest BYTEA NOT NULL,
    bytes  BYTEA NOT NULL,
    PRIMARY KEY (tenant, digest)
);

-- Versions of the plugins of a tenant; one of each name is active.
CREATE TABLE activations (
    tenant        TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    slot          TEXT COLLATE "C" NOT NULL,
    name          TEXT COLLATE "C" NOT NULL,
    version       BIGINT NOT NULL,
    digest        BYTEA NOT NULL,
    configuration TEXT COLLATE "C" NOT NULL,
    active        BIGINT NOT NULL,
    PRIMARY KEY (tenant, slot, name, version)
);
CREATE UNIQUE INDEX activations_active ON activations (tenant, slot, name) WHERE active = 1;

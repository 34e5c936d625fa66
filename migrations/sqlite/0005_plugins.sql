-- Uploaded components, by the SHA-256 of their bytes.
CREATE TABLE artifacts (
    tenant TEXT NOT NULL REFERENCES tenants,
    digest BLOB NOT NULL,
    bytes  BLOB NOT NULL,
    PRIMARY KEY (tenant, digest)
) STRICT;

-- Versions of the plugins of a tenant; one of each name is active.
CREATE TABLE activations (
    tenant        TEXT    NOT NULL REFERENCES tenants,
    slot          TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    digest        BLOB    NOT NULL,
    configuration TEXT    NOT NULL,
    active        INTEGER NOT NULL,
    PRIMARY KEY (tenant, slot, name, version)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX activations_active ON activations (tenant, slot, name) WHERE active = 1;

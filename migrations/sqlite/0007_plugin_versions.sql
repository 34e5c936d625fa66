-- Versions of plugins: what was uploaded never changes; which one is active does.
CREATE TABLE plugin_versions (
    tenant        TEXT    NOT NULL REFERENCES tenants,
    slot          TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    version       INTEGER NOT NULL,
    -- Of the component; of a webhook's description.
    digest        BLOB    NOT NULL,
    size          INTEGER NOT NULL,
    -- Where a webhook is and its secret, sealed; absent: a component.
    webhook       BLOB,
    uploaded_at   INTEGER NOT NULL,
    -- Label of the token.
    uploaded_by   TEXT    NOT NULL,
    -- JSON: what the host found.
    report        TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    -- Counts activations: the greatest of those below it was active before.
    activated     INTEGER NOT NULL,
    configuration TEXT    NOT NULL,
    PRIMARY KEY (tenant, slot, name, version)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX plugin_versions_active ON plugin_versions (tenant, slot, name) WHERE state = 'active';
INSERT INTO plugin_versions
SELECT tenant, slot, name, version, digest, 0, NULL, 0, 'host', '{}',
    CASE active WHEN 1 THEN 'active' ELSE 'inactive' END, active, configuration FROM activations;
DROP TABLE activations;

-- What plugins are granted.
CREATE TABLE plugin_grants (
    tenant TEXT NOT NULL REFERENCES tenants,
    slot   TEXT NOT NULL,
    name   TEXT NOT NULL,
    -- JSON.
    grants TEXT NOT NULL,
    PRIMARY KEY (tenant, slot, name)
) STRICT, WITHOUT ROWID;

-- What plugins wrote for their tenant: the newest lines of each.
CREATE TABLE plugin_lines (
    tenant   TEXT    NOT NULL,
    slot     TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    position INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    version  INTEGER NOT NULL,
    -- Session or attempt.
    subject  TEXT    NOT NULL,
    level    TEXT    NOT NULL,
    text     TEXT    NOT NULL,
    PRIMARY KEY (tenant, slot, name, position)
) STRICT, WITHOUT ROWID;

-- The version of the method that an attempt asks, from its first step to its last.
ALTER TABLE attempts ADD COLUMN plugin_version INTEGER NOT NULL DEFAULT 0;

-- Versions of plugins: what was uploaded never changes; which one is active does.
CREATE TABLE plugin_versions (
    tenant        TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    slot          TEXT COLLATE "C" NOT NULL,
    name          TEXT COLLATE "C" NOT NULL,
    version       BIGINT NOT NULL,
    -- Of the component; of a webhook's description.
    digest        BYTEA NOT NULL,
    size          BIGINT NOT NULL,
    -- Where a webhook is and its secret, sealed; absent: a component.
    webhook       BYTEA,
    uploaded_at   BIGINT NOT NULL,
    -- Label of the token.
    uploaded_by   TEXT COLLATE "C" NOT NULL,
    -- JSON: what the host found.
    report        TEXT COLLATE "C" NOT NULL,
    state         TEXT COLLATE "C" NOT NULL,
    -- Counts activations: the greatest of those below it was active before.
    activated     BIGINT NOT NULL,
    configuration TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, slot, name, version)
);
CREATE UNIQUE INDEX plugin_versions_active ON plugin_versions (tenant, slot, name) WHERE state = 'active';
INSERT INTO plugin_versions
SELECT tenant, slot, name, version, digest, 0, NULL, 0, 'host', '{}',
    CASE active WHEN 1 THEN 'active' ELSE 'inactive' END, active, configuration FROM activations;
DROP TABLE activations;

-- What plugins are granted.
CREATE TABLE plugin_grants (
    tenant TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    slot   TEXT COLLATE "C" NOT NULL,
    name   TEXT COLLATE "C" NOT NULL,
    -- JSON.
    grants TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, slot, name)
);

-- What plugins wrote for their tenant: the newest lines of each.
CREATE TABLE plugin_lines (
    tenant   TEXT COLLATE "C" NOT NULL,
    slot     TEXT COLLATE "C" NOT NULL,
    name     TEXT COLLATE "C" NOT NULL,
    position BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    version  BIGINT NOT NULL,
    -- Session or attempt.
    subject  TEXT COLLATE "C" NOT NULL,
    level    TEXT COLLATE "C" NOT NULL,
    text     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, slot, name, position)
);

-- The version of the method that an attempt asks, from its first step to its last.
ALTER TABLE attempts ADD COLUMN plugin_version BIGINT NOT NULL DEFAULT 0;

-- Customers of the operator. Everything below them begins with their id.
CREATE TABLE tenants (
    tenant          TEXT    NOT NULL PRIMARY KEY,
    created_at      INTEGER NOT NULL,
    -- JSON, the server's own form.
    settings        TEXT    NOT NULL DEFAULT '{}',
    -- Counts changes of the tenant's plugins.
    plugin_revision INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Who may administer. A token without tenant is the operator's.
CREATE TABLE admin_tokens (
    -- SHA-256 of the token: the token itself is kept by its holder alone.
    hash       BLOB    NOT NULL PRIMARY KEY,
    tenant     TEXT    REFERENCES tenants,
    label      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- Who changed what.
CREATE TABLE audit (
    id      INTEGER NOT NULL PRIMARY KEY,
    tenant  TEXT    NOT NULL REFERENCES tenants,
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    detail  TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_of_tenant ON audit (tenant, id);

-- The authority whose certificates a tenant's devices need; a tenant without a row needs none.
CREATE TABLE client_authorities (
    tenant       TEXT    NOT NULL PRIMARY KEY REFERENCES tenants,
    -- PEM.
    certificates TEXT    NOT NULL,
    set_at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

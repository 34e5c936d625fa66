-- The authority whose certificates a tenant's devices need; a tenant without a row needs none.
CREATE TABLE client_authorities (
    tenant       TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES tenants,
    -- PEM.
    certificates TEXT COLLATE "C" NOT NULL,
    set_at       BIGINT NOT NULL
);

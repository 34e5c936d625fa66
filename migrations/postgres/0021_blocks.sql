-- By whom a user does not want to be rung.
CREATE TABLE blocks (
    tenant   TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    -- The user's own.
    endpoint TEXT COLLATE "C" NOT NULL,
    who      TEXT COLLATE "C" NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (tenant, endpoint, who)
);

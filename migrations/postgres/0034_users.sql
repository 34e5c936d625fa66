-- The built-in user directory.
CREATE TABLE users (
    tenant     TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    user_id    TEXT COLLATE "C" NOT NULL,
    -- A PHC string.
    password   TEXT COLLATE "C" NOT NULL,
    -- Those that the tenant knows to be the user's: JSON.
    addresses  TEXT COLLATE "C" NOT NULL,
    state      TEXT COLLATE "C" NOT NULL,
    changed_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, user_id)
);

-- Whose account is which; also of users of a tenant's own directory.
CREATE TABLE profiles (
    tenant  TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    profile TEXT COLLATE "C" NOT NULL,
    user_id TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, profile)
);
CREATE UNIQUE INDEX profiles_by_user ON profiles (tenant, user_id);

-- The profile that an attempt speaks for.
ALTER TABLE attempts ADD COLUMN profile TEXT COLLATE "C";

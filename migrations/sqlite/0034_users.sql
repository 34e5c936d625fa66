-- The built-in user directory.
CREATE TABLE users (
    tenant     TEXT    NOT NULL REFERENCES tenants,
    user_id    TEXT    NOT NULL,
    -- A PHC string.
    password   TEXT    NOT NULL,
    -- Those that the tenant knows to be the user's: JSON.
    addresses  TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, user_id)
) STRICT, WITHOUT ROWID;

-- Whose account is which; also of users of a tenant's own directory.
CREATE TABLE profiles (
    tenant  TEXT NOT NULL REFERENCES tenants,
    profile TEXT NOT NULL,
    user_id TEXT NOT NULL,
    PRIMARY KEY (tenant, profile)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX profiles_by_user ON profiles (tenant, user_id);

-- The profile that an attempt speaks for.
ALTER TABLE attempts ADD COLUMN profile TEXT;

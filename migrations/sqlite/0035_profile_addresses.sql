-- Addresses of profiles, and how far their validation is.
CREATE TABLE profile_addresses (
    tenant  TEXT NOT NULL,
    profile TEXT NOT NULL,
    address TEXT NOT NULL,
    state   TEXT NOT NULL,
    PRIMARY KEY (tenant, profile, address)
) STRICT, WITHOUT ROWID;
CREATE INDEX profile_addresses_by_address ON profile_addresses (tenant, address);

-- What a profile keeps of each device and address: asked, told, registered.
CREATE TABLE address_devices (
    tenant        TEXT    NOT NULL,
    profile       TEXT    NOT NULL,
    address       TEXT    NOT NULL,
    device        TEXT    NOT NULL,
    -- The device's own attempt, the last that asked.
    attempt       TEXT    NOT NULL,
    asked_at      INTEGER NOT NULL,
    told_at       INTEGER,
    registered_at INTEGER,
    PRIMARY KEY (tenant, profile, address, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX address_devices_by_device ON address_devices (tenant, device);

-- Addresses of profiles, and how far their validation is.
CREATE TABLE profile_addresses (
    tenant  TEXT COLLATE "C" NOT NULL,
    profile TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C" NOT NULL,
    state   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant, profile, address)
);
CREATE INDEX profile_addresses_by_address ON profile_addresses (tenant, address);

-- What a profile keeps of each device and address: asked, told, registered.
CREATE TABLE address_devices (
    tenant        TEXT COLLATE "C" NOT NULL,
    profile       TEXT COLLATE "C" NOT NULL,
    address       TEXT COLLATE "C" NOT NULL,
    device        TEXT COLLATE "C" NOT NULL,
    -- The device's own attempt, the last that asked.
    attempt       TEXT COLLATE "C" NOT NULL,
    asked_at      BIGINT NOT NULL,
    told_at       BIGINT,
    registered_at BIGINT,
    PRIMARY KEY (tenant, profile, address, device)
);
CREATE INDEX address_devices_by_device ON address_devices (tenant, device);

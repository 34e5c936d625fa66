-- Counts changes of who takes part.
ALTER TABLE sessions ADD COLUMN generation BIGINT NOT NULL DEFAULT 1;

-- One a device that takes part in a running session; a session runs while it has some.
CREATE TABLE participants (
    tenant    TEXT COLLATE "C" NOT NULL,
    session   TEXT COLLATE "C" NOT NULL,
    device    TEXT COLLATE "C" NOT NULL,
    endpoint  TEXT COLLATE "C" NOT NULL,
    kind      TEXT COLLATE "C" NOT NULL,
    -- Of its user among the invited; none for the inviter.
    position  BIGINT,
    joined_at BIGINT NOT NULL,
    -- When a node last knew the device alive.
    seen_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant, session, device)
);
CREATE INDEX participants_by_device ON participants (tenant, device);
CREATE INDEX participants_by_endpoint ON participants (tenant, endpoint);
CREATE INDEX participants_by_sight ON participants (seen_at);
-- What rings on a device.
CREATE INDEX legs_by_device ON legs (tenant, device);

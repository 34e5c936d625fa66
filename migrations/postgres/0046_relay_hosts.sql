-- Relay hosts. They are the operator's and of no tenant: each serves the sessions of all.
CREATE TABLE relay_hosts (
    host        TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- It belongs to a node, and goes with it.
    built_in    BIGINT NOT NULL,
    region      TEXT COLLATE "C" NOT NULL,
    -- Networks that it is near to: JSON.
    near        TEXT COLLATE "C" NOT NULL,
    -- Where it is reached over UDP, TCP and TLS: JSON.
    addresses   TEXT COLLATE "C" NOT NULL,
    -- Allocations that it can hold, and that it holds.
    capacity    BIGINT NOT NULL,
    held        BIGINT NOT NULL,
    -- It ends as soon as nobody uses it any more.
    leaving     BIGINT NOT NULL,
    -- The operator wants nobody to be sent there.
    drain       BIGINT NOT NULL,
    -- Since when it has its addresses.
    entered_at  BIGINT NOT NULL,
    -- It knows the hosts that had entered until then.
    knows_until BIGINT NOT NULL,
    seen_at     BIGINT NOT NULL
);

-- A token of a relay host says of that host where it is, and does nothing else.
ALTER TABLE admin_tokens ADD COLUMN relay_host TEXT COLLATE "C";

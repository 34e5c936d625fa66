-- Relay hosts. They are the operator's and of no tenant: each serves the sessions of all.
CREATE TABLE relay_hosts (
    host        TEXT NOT NULL PRIMARY KEY,
    -- It belongs to a node, and goes with it.
    built_in    INTEGER NOT NULL,
    region      TEXT NOT NULL,
    -- Networks that it is near to: JSON.
    near        TEXT NOT NULL,
    -- Where it is reached over UDP, TCP and TLS: JSON.
    addresses   TEXT NOT NULL,
    -- Allocations that it can hold, and that it holds.
    capacity    INTEGER NOT NULL,
    held        INTEGER NOT NULL,
    -- It ends as soon as nobody uses it any more.
    leaving     INTEGER NOT NULL,
    -- The operator wants nobody to be sent there.
    drain       INTEGER NOT NULL,
    -- Since when it has its addresses.
    entered_at  INTEGER NOT NULL,
    -- It knows the hosts that had entered until then.
    knows_until INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A token of a relay host says of that host where it is, and does nothing else.
ALTER TABLE admin_tokens ADD COLUMN relay_host TEXT;

-- Running processes on this database. A row that does not change any more is of one that died.
CREATE TABLE nodes (
    node       TEXT NOT NULL PRIMARY KEY,
    -- Where clients reach it.
    address    TEXT NOT NULL,
    region     TEXT NOT NULL,
    sockets    INTEGER NOT NULL,
    -- It takes nothing new.
    draining   INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    -- By its own clock. Others look whether it changes, by theirs.
    seen_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who performs an entry.
ALTER TABLE outbox ADD COLUMN node TEXT;

-- Proves that a node has the keys of this installation.
CREATE TABLE installation (
    key_id BLOB NOT NULL,
    proof  BLOB NOT NULL
) STRICT;

-- Running processes on this database. A row that does not change any more is of one that died.
CREATE TABLE nodes (
    node       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    -- Where clients reach it.
    address    TEXT COLLATE "C" NOT NULL,
    region     TEXT COLLATE "C" NOT NULL,
    sockets    BIGINT NOT NULL,
    -- It takes nothing new.
    draining   BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    -- By its own clock. Others look whether it changes, by theirs.
    seen_at    BIGINT NOT NULL
);

-- Who performs an entry.
ALTER TABLE outbox ADD COLUMN node TEXT COLLATE "C";

-- Proves that a node has the keys of this installation.
CREATE TABLE installation (
    key_id BYTEA NOT NULL,
    proof  BYTEA NOT NULL
);

-- By the database's own clock: what was stored lately, should a node not have been told. (A file has one
-- process, which tells itself.)
ALTER TABLE messages
    ADD COLUMN stored_at BIGINT NOT NULL DEFAULT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT);
CREATE INDEX messages_by_time ON messages (stored_at);

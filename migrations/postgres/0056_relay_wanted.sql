-- Of an invited device: it, or the inviter, has asked for the relay between both.
ALTER TABLE participants ADD COLUMN relay_wanted BIGINT NOT NULL DEFAULT 0;

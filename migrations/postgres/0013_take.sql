-- Who chooses among the devices that accept: the host takes the first, or the inviter chooses.
ALTER TABLE sessions ADD COLUMN take TEXT COLLATE "C" NOT NULL DEFAULT 'first';

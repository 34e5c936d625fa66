-- Whether a session has taught how its networks reach each other: it teaches once.
ALTER TABLE sessions ADD COLUMN taught BIGINT NOT NULL DEFAULT 0;

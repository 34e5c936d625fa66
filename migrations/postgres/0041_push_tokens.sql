-- A push token counts for a time (90 days for those of before), and may stand for an address of a push service (REG-1).
ALTER TABLE devices ADD COLUMN push_token_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN push_address BYTEA;
UPDATE devices SET push_token_until = enrolled_at + 7776000000;

-- When a leg came so far; none if it never did. `explain` and the proof of silence stand on these.
ALTER TABLE legs ADD COLUMN queued_at BIGINT;
ALTER TABLE legs ADD COLUMN pushed_at BIGINT;
ALTER TABLE legs ADD COLUMN rang_at BIGINT;
-- Taken, declined or told to stop.
ALTER TABLE legs ADD COLUMN ended_at BIGINT;
ALTER TABLE legs ADD COLUMN silent_at BIGINT;

-- "Why did this identifier not ring?"
CREATE INDEX invitations_by_endpoint ON invitations (tenant, endpoint);
CREATE INDEX registrations_by_identifier ON registrations (tenant, endpoint);

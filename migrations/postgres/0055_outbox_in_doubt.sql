-- What is in doubt, for its tenant's list. The state is in the columns too, so that SQLite, which knows nothing of how many
-- rows a tenant has, prefers this to the index by state.
CREATE INDEX outbox_in_doubt ON outbox (tenant, state, kind, queued_at) WHERE state = 'in-doubt';

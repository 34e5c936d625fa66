-- What a gateway calls a text, in its delivery receipts.
ALTER TABLE outbox ADD COLUMN reference TEXT;
CREATE INDEX outbox_by_reference ON outbox (tenant, gateway, reference) WHERE reference IS NOT NULL;

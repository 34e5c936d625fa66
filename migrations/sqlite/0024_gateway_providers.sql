-- How a gateway is spoken to, as JSON; none: the generic gateway at its `send_url`.
ALTER TABLE gateways ADD COLUMN provider TEXT;
-- 1: every node keeps a connection to it.
ALTER TABLE gateways ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
CREATE INDEX gateways_kept ON gateways (tenant, gateway) WHERE kept = 1;

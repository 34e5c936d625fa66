-- Beginnings of the numbers that a gateway serves, as JSON; none: all.
ALTER TABLE gateways ADD COLUMN serves TEXT COLLATE "C";

-- How texts have fared, by gateway and calling code, in hours since 1970.
CREATE TABLE conversions (
    tenant  TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    gateway TEXT COLLATE "C" NOT NULL,
    code    TEXT COLLATE "C" NOT NULL,
    hour    BIGINT NOT NULL,
    sent    BIGINT NOT NULL,
    proven  BIGINT NOT NULL,
    PRIMARY KEY (tenant, gateway, code, hour)
);
CREATE INDEX conversions_by_hour ON conversions (hour);

-- Which gateway carried an attempt's last text.
CREATE INDEX outbox_by_attempt ON outbox (tenant, attempt);

-- Numbers whose owners want no texts.
CREATE TABLE opt_outs (
    tenant TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    number TEXT COLLATE "C" NOT NULL,
    since  BIGINT NOT NULL,
    PRIMARY KEY (tenant, number)
);

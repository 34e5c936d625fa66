-- Beginnings of the numbers that a gateway serves, as JSON; none: all.
ALTER TABLE gateways ADD COLUMN serves TEXT;

-- How texts have fared, by gateway and calling code, in hours since 1970.
CREATE TABLE conversions (
    tenant  TEXT NOT NULL REFERENCES tenants,
    gateway TEXT NOT NULL,
    code    TEXT NOT NULL,
    hour    INTEGER NOT NULL,
    sent    INTEGER NOT NULL,
    proven  INTEGER NOT NULL,
    PRIMARY KEY (tenant, gateway, code, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX conversions_by_hour ON conversions (hour);

-- Which gateway carried an attempt's last text.
CREATE INDEX outbox_by_attempt ON outbox (tenant, attempt);

-- Numbers whose owners want no texts.
CREATE TABLE opt_outs (
    tenant TEXT NOT NULL REFERENCES tenants,
    number TEXT NOT NULL,
    since  INTEGER NOT NULL,
    PRIMARY KEY (tenant, number)
) STRICT, WITHOUT ROWID;

-- Whom a tenant texts, and how much of it in a day.
CREATE TABLE text_policies (
    tenant    TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    -- Short messages; none: as many as are asked for.
    per_day   BIGINT,
    -- Beginnings of numbers, as JSON; none: all.
    countries TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant)
);

-- Short messages of each day, in days since 1970.
CREATE TABLE text_spending (
    tenant TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    day    BIGINT NOT NULL,
    parts  BIGINT NOT NULL,
    PRIMARY KEY (tenant, day)
);

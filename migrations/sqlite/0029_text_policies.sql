-- Whom a tenant texts, and how much of it in a day.
CREATE TABLE text_policies (
    tenant    TEXT NOT NULL REFERENCES tenants,
    -- Short messages; none: as many as are asked for.
    per_day   INTEGER,
    -- Beginnings of numbers, as JSON; none: all.
    countries TEXT NOT NULL,
    PRIMARY KEY (tenant)
) STRICT, WITHOUT ROWID;

-- Short messages of each day, in days since 1970.
CREATE TABLE text_spending (
    tenant TEXT NOT NULL REFERENCES tenants,
    day    INTEGER NOT NULL,
    parts  INTEGER NOT NULL,
    PRIMARY KEY (tenant, day)
) STRICT, WITHOUT ROWID;

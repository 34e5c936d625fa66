-- Which number a client texts, by its SIM's carrier: JSON, counted at each change.
CREATE TABLE carrier_bundles (
    tenant   TEXT NOT NULL REFERENCES tenants,
    version  INTEGER NOT NULL,
    carriers TEXT NOT NULL,
    PRIMARY KEY (tenant)
) STRICT, WITHOUT ROWID;

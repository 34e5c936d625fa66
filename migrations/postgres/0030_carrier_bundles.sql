-- Which number a client texts, by its SIM's carrier: JSON, counted at each change.
CREATE TABLE carrier_bundles (
    tenant   TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    version  BIGINT NOT NULL,
    carriers TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant)
);

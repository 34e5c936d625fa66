-- Texts whose receipts say that they arrived.
ALTER TABLE conversions ADD COLUMN delivered BIGINT NOT NULL DEFAULT 0;

-- How texts have fared by the beginnings of their numbers, which name areas and carriers, in hours since 1970.
CREATE TABLE conversions_of_prefix (
    tenant    TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    prefix    TEXT COLLATE "C" NOT NULL,
    hour      BIGINT NOT NULL,
    sent      BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    proven    BIGINT NOT NULL,
    PRIMARY KEY (tenant, prefix, hour)
);
CREATE INDEX conversions_of_prefix_by_hour ON conversions_of_prefix (hour);

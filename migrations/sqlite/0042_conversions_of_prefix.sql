-- Texts whose receipts say that they arrived.
ALTER TABLE conversions ADD COLUMN delivered INTEGER NOT NULL DEFAULT 0;

-- How texts have fared by the beginnings of their numbers, which name areas and carriers, in hours since 1970.
CREATE TABLE conversions_of_prefix (
    tenant    TEXT NOT NULL REFERENCES tenants,
    prefix    TEXT NOT NULL,
    hour      INTEGER NOT NULL,
    sent      INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    proven    INTEGER NOT NULL,
    PRIMARY KEY (tenant, prefix, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX conversions_of_prefix_by_hour ON conversions_of_prefix (hour);

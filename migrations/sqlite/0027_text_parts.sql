-- Parts of long texts that came through a gateway, until the text is taken.
CREATE TABLE text_parts (
    tenant  TEXT    NOT NULL REFERENCES tenants,
    gateway TEXT    NOT NULL,
    -- A keyed hash of what the parts of one text have in common.
    message TEXT    NOT NULL,
    number  INTEGER NOT NULL,
    -- Sealed.
    part    BLOB    NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (tenant, gateway, message, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX text_parts_by_time ON text_parts (at);
CREATE INDEX text_parts_of_gateway ON text_parts (tenant, gateway, at);

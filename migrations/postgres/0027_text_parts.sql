-- Parts of long texts that came through a gateway, until the text is taken.
CREATE TABLE text_parts (
    tenant  TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    gateway TEXT COLLATE "C" NOT NULL,
    -- A keyed hash of what the parts of one text have in common.
    message TEXT COLLATE "C" NOT NULL,
    number  BIGINT NOT NULL,
    -- Sealed.
    part    BYTEA  NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (tenant, gateway, message, number)
);
CREATE INDEX text_parts_by_time ON text_parts (at);
CREATE INDEX text_parts_of_gateway ON text_parts (tenant, gateway, at);

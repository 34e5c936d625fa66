-- How direct paths between two networks have fared, by days since 1970. A pair's name tells no address.
CREATE TABLE path_outcomes (
    tenant   TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    networks TEXT COLLATE "C" NOT NULL,
    day      BIGINT NOT NULL,
    worked   BIGINT NOT NULL,
    failed   BIGINT NOT NULL,
    PRIMARY KEY (tenant, networks, day)
);
CREATE INDEX path_outcomes_by_day ON path_outcomes (day);

-- How direct paths between two networks have fared, by days since 1970. A pair's name tells no address.
CREATE TABLE path_outcomes (
    tenant   TEXT NOT NULL REFERENCES tenants,
    networks TEXT NOT NULL,
    day      INTEGER NOT NULL,
    worked   INTEGER NOT NULL,
    failed   INTEGER NOT NULL,
    PRIMARY KEY (tenant, networks, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX path_outcomes_by_day ON path_outcomes (day);

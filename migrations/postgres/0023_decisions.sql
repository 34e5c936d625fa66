-- What plugins decided about a session, in a few words; `explain` reads it on any node.
CREATE TABLE decisions (
    tenant  TEXT COLLATE "C" NOT NULL,
    session TEXT COLLATE "C" NOT NULL,
    -- Counts the session's, from 0.
    number  BIGINT NOT NULL,
    at      BIGINT NOT NULL,
    slot    TEXT COLLATE "C" NOT NULL,
    -- None where the slot was empty.
    plugin  TEXT COLLATE "C",
    version BIGINT NOT NULL,
    outcome TEXT COLLATE "C" NOT NULL,
    -- Why the slot's declared default counted.
    failure TEXT COLLATE "C",
    micros  BIGINT NOT NULL,
    PRIMARY KEY (tenant, session, number)
);

-- To whom the ringing of an invited user went on.
CREATE TABLE forwards (
    tenant   TEXT COLLATE "C" NOT NULL,
    session  TEXT COLLATE "C" NOT NULL,
    -- Of the user among the invited.
    position BIGINT NOT NULL,
    endpoint TEXT COLLATE "C" NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (tenant, session, position, endpoint)
);
CREATE INDEX forwards_by_endpoint ON forwards (tenant, endpoint);

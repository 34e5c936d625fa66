-- What plugins decided about a session, in a few words; `explain` reads it on any node.
CREATE TABLE decisions (
    tenant  TEXT    NOT NULL,
    session TEXT    NOT NULL,
    -- Counts the session's, from 0.
    number  INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    slot    TEXT    NOT NULL,
    -- None where the slot was empty.
    plugin  TEXT,
    version INTEGER NOT NULL,
    outcome TEXT    NOT NULL,
    -- Why the slot's declared default counted.
    failure TEXT,
    micros  INTEGER NOT NULL,
    PRIMARY KEY (tenant, session, number)
) STRICT, WITHOUT ROWID;

-- To whom the ringing of an invited user went on.
CREATE TABLE forwards (
    tenant   TEXT    NOT NULL,
    session  TEXT    NOT NULL,
    -- Of the user among the invited.
    position INTEGER NOT NULL,
    endpoint TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (tenant, session, position, endpoint)
) STRICT, WITHOUT ROWID;
CREATE INDEX forwards_by_endpoint ON forwards (tenant, endpoint);

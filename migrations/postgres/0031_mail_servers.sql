-- Where a tenant's mails leave.
CREATE TABLE mail_servers (
    tenant   TEXT COLLATE "C" NOT NULL REFERENCES tenants,
    -- Server, sender and template, as JSON.
    settings TEXT COLLATE "C" NOT NULL,
    -- Sealed; none: nobody has to sign in.
    password BYTEA,
    PRIMARY KEY (tenant)
);

-- Where a tenant's mails leave.
CREATE TABLE mail_servers (
    tenant   TEXT NOT NULL REFERENCES tenants,
    -- Server, sender and template, as JSON.
    settings TEXT NOT NULL,
    -- Sealed; none: nobody has to sign in.
    password BLOB,
    PRIMARY KEY (tenant)
) STRICT, WITHOUT ROWID;

-- What devices that ask without a socket have said once; kept until the signature that said it is over.
CREATE TABLE request_nonces (
    tenant     TEXT    NOT NULL,
    device     TEXT    NOT NULL,
    nonce      TEXT    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, device, nonce),
    FOREIGN KEY (tenant, device) REFERENCES devices
) STRICT, WITHOUT ROWID;
CREATE INDEX request_nonces_by_expiry ON request_nonces (expires_at);

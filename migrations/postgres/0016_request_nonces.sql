-- What devices that ask without a socket have said once; kept until the signature that said it is over.
CREATE TABLE request_nonces (
    tenant     TEXT COLLATE "C" NOT NULL,
    device     TEXT COLLATE "C" NOT NULL,
    nonce      TEXT COLLATE "C" NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant, device, nonce),
    FOREIGN KEY (tenant, device) REFERENCES devices
);
CREATE INDEX request_nonces_by_expiry ON request_nonces (expires_at);

"""Sends HTTP requests that are signed by RFC 9421, and says how each was answered.

Asked by a list of requests. What is to go wrong is said beside what is signed: `sent` replaces parts
of the request after it was signed, `without` leaves headers out.
"""

import base64
import datetime
import http.client
import json
import secrets
import ssl
import sys
import time
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver, algorithms
from http_message_signatures.digests import ContentDigest


class Message:
    """What the library signs."""

    def __init__(self, method, url, headers):
        self.method, self.url, self.headers = method, url, headers


def key_of(asked):
    secret = base64.urlsafe_b64decode(asked["key"] + "=")
    if asked.get("algorithm") == "p256":
        key = ec.derive_private_key(int.from_bytes(secret), ec.SECP256R1())
        return algorithms.ECDSA_P256_SHA256, key
    return algorithms.ED25519, ed25519.Ed25519PrivateKey.from_private_bytes(secret)


def moment(seconds):
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)


def signed(asked):
    message = Message("POST", asked["url"], {"Content-Type": "application/json"})
    digest = ContentDigest()
    digest.__class__.algorithm = asked.get("digest", "sha-256")
    digest.add(message.headers, asked["body"].encode())
    algorithm, key = key_of(asked)
    now = int(time.time())
    created = now + asked.get("created", 0)
    signer = HTTPMessageSigner(
        signature_algorithm=algorithm,
        key_resolver=MappingKeyResolver(public_keys={}, private_keys={asked["device"]: key}),
    )
    signer.sign(
        message,
        key_id=asked["device"],
        created=moment(created),
        expires=moment(created + asked.get("lasts", 30)),
        nonce=asked.get("nonce", secrets.token_urlsafe(24)),
        covered_component_ids=asked.get(
            "covered", ["@method", "@authority", "@path", "content-digest", "content-type"]
        ),
        use_existing_digest=True,
    )
    return message


def send(asked):
    message = signed(asked)
    sent = asked.get("sent", {})
    url = urlsplit(sent.get("url", asked["url"]))
    headers = {**message.headers, **sent.get("headers", {})}
    for name in asked.get("without", []):
        del headers[name]
    if url.scheme == "https":
        context = ssl.create_default_context(cafile=asked["authority"])
        if "certificate" in asked:
            context.load_cert_chain(asked["certificate"], asked["certificate_key"])
        connection = http.client.HTTPSConnection(url.netloc, context=context, timeout=20)
    else:
        connection = http.client.HTTPConnection(url.netloc, timeout=20)
    body = sent.get("body", asked["body"]).encode()
    connection.request(sent.get("method", "POST"), url.path, body, headers)
    answer = connection.getresponse()
    text = answer.read()
    return {"status": answer.status, "headers": dict(answer.headers), "body": json.loads(text)}


json.dump([send(asked) for asked in json.load(sys.stdin)], sys.stdout)

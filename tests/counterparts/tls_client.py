"""Opens a WebSocket over TLS by OpenSSL, and says what came of it."""

import asyncio
import json
import ssl
import sys

# Not `websockets.sync`: it reads and writes one TLS connection in two threads, which Python's `ssl` lets lose
# what is written.
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

# In seconds: whoever runs this gives it up, not the library.
PATIENCE = 90


async def opened(asked):
    context = ssl.create_default_context(cafile=asked["authority"])
    context.set_alpn_protocols(asked.get("alpn", ["http/1.1"]))
    context.maximum_version = getattr(ssl.TLSVersion, asked.get("version", "TLSv1_3"))
    if "certificate" in asked:
        context.load_cert_chain(asked["certificate"], asked["key"])
    protocols = ["switchhook.v1.json"]
    async with connect(asked["url"], ssl=context, subprotocols=protocols, open_timeout=PATIENCE) as socket:
        tls = socket.transport.get_extra_info("ssl_object")
        return {
            "message": json.loads(await socket.recv()),
            "version": tls.version(),
            "alpn": tls.selected_alpn_protocol(),
        }


try:
    said = asyncio.run(opened(json.load(sys.stdin)))
except ssl.SSLError as error:
    said = {"error": str(error)}
except InvalidStatus as refused:
    said = {"status": refused.response.status_code, "problem": json.loads(refused.response.body)}
json.dump(said, sys.stdout)

"""Opens a WebSocket over TLS by OpenSSL, and says what came of it."""

import json
import ssl
import sys

from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

asked = json.load(sys.stdin)
context = ssl.create_default_context(cafile=asked["authority"])
context.set_alpn_protocols(asked.get("alpn", ["http/1.1"]))
context.maximum_version = getattr(ssl.TLSVersion, asked.get("version", "TLSv1_3"))
if "certificate" in asked:
    context.load_cert_chain(asked["certificate"], asked["key"])
try:
    with connect(asked["url"], ssl=context, subprotocols=["switchhook.v1.json"]) as socket:
        said = {
            "message": json.loads(socket.recv()),
            "version": socket.socket.version(),
            "alpn": socket.socket.selected_alpn_protocol(),
        }
except ssl.SSLError as error:
    said = {"error": str(error)}
except InvalidStatus as refused:
    said = {"status": refused.response.status_code, "problem": json.loads(refused.response.body)}
json.dump(said, sys.stdout)

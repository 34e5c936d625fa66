"""Lets two TURN clients exchange datagrams through their allocations, and says what each received.

Asked by the relay's address, the transport to it, and the credentials of both.
"""

import asyncio
import json
import sys

from aioice import turn


class Received(asyncio.DatagramProtocol):
    """Keeps what comes, each once, and who sent it."""

    def __init__(self):
        self.messages = {}
        self.news = asyncio.Event()

    def datagram_received(self, data, addr):
        self.messages[data.decode()] = "%s:%d" % addr
        self.news.set()


async def allocate(asked, credentials):
    host, port = asked["server"].rsplit(":", 1)
    return await turn.create_turn_endpoint(
        Received,
        server_addr=(host, int(port)),
        username=credentials["username"],
        password=credentials["password"],
        transport=asked["transport"],
    )


async def until_received(transport, received, peer, message, wanted):
    """Says it again and again: the relay lets nothing in before the other side has bound its channel."""
    while wanted not in received.messages:
        transport.sendto(message.encode(), peer)
        received.news.clear()
        try:
            await asyncio.wait_for(received.news.wait(), 0.2)
        except asyncio.TimeoutError:
            pass
    # The other side may still wait for its first.
    transport.sendto(message.encode(), peer)


async def main():
    asked = json.load(sys.stdin)
    (a, heard_by_a), (b, heard_by_b) = [await allocate(asked, asked[side]) for side in "ab"]
    relayed = [transport.get_extra_info("sockname") for transport in (a, b)]
    await asyncio.gather(
        until_received(a, heard_by_a, relayed[1], "from a", "from b"),
        until_received(b, heard_by_b, relayed[0], "from b", "from a"),
    )
    json.dump({
        "relayed": ["%s:%d" % address for address in relayed],
        "a": heard_by_a.messages,
        "b": heard_by_b.messages,
    }, sys.stdout)
    a.close()
    b.close()


asyncio.run(main())

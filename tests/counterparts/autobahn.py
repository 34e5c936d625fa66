"""Runs cases of the Autobahn test suite against the server, and says how each went.

The suite is the one of PyPI; it was written for Python 2 and for servers that echo. Its cases are run as
they are, over a connection of this program's: they say which frames are sent and how the server may
react. What stands for an echo is the server's own answer: each text message is answered by one, of which
this program makes the message that the case expects next. What a case does not get, or another close
than it allows, it calls failed.
"""

import asyncio
import base64
import binascii
import builtins
import codecs
import json
import os
import re
import struct
import sys
import types
from importlib.util import find_spec

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SETTLED = 60  # Seconds until a case is given up.
PATIENCE = 8  # Times the seconds that a case gives the server: other tests use the same machine.


def bytes_of(text):
    """Python 2's strings were bytes."""
    return text if isinstance(text, bytes) else text.encode("latin-1")


class Validator:
    """The suite's own cases ask it which prefixes are valid."""

    def reset(self):
        pass

    def validate(self, text):
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            decoder.decode(bytes_of(text))
        except UnicodeDecodeError:
            return False, False, 0, 0
        return True, decoder.getstate()[0] == b"", 0, 0


class States:
    STATE_CLOSED, STATE_CONNECTING, STATE_CLOSING, STATE_OPEN = range(4)


def load(folder, name):
    """A module of the suite; what it prints is left out, and what only Python 2 takes is put otherwise."""
    with open(os.path.join(folder, name + ".py"), encoding="latin-1") as file:
        source = re.sub(r"^( *)print .*$", r"\1pass", file.read(), flags=re.MULTILINE)
    source = source.replace("(object, Case, )", "(Case,)")
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec"), vars(module))
    return module


def load_suite():
    """The cases, by their names."""
    builtins.xrange, builtins.unicode = range, str
    hexadecimal = binascii.b2a_hex
    binascii.b2a_hex = lambda text: hexadecimal(bytes_of(text)).decode()
    fakes = {
        "autobahn": {},
        "autobahn.websocket": {},
        "autobahn.websocket.protocol": {"WebSocketProtocol": States},
        "autobahn.websocket.utf8validator": {"Utf8Validator": Validator},
    }
    for name, members in fakes.items():
        module = sys.modules[name] = types.ModuleType(name)
        vars(module).update(members)
    folder = os.path.join(os.path.dirname(find_spec("autobahntestsuite").origin), "case")
    base = load(folder, "case").Case
    cases = {}
    for file in sorted(os.listdir(folder)):
        if not re.match(r"case[1-7]_", file):
            continue
        for value in vars(load(folder, file[:-3])).values():
            for found in value if isinstance(value, list) else [value]:
                if isinstance(found, type) and issubclass(found, base) and found is not base:
                    cases[found.__name__[4:].replace("_", ".")] = found
    return cases


class Connection(States):
    """What a case talks to: the client's end of one connection."""

    CLOSE_STATUS_CODE_NORMAL = 1000
    CLOSE_STATUS_CODE_PROTOCOL_ERROR = 1002
    CLOSE_STATUS_CODE_INVALID_PAYLOAD = 1007

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.state = self.STATE_OPEN
        self.factory = types.SimpleNamespace(isServer=False)
        self.connectionWasOpen = True
        self.closedByMe = self.failedByMe = self.droppedByMe = self.wasClean = False
        self.remoteCloseCode = self.localCloseReason = None
        self.case = None
        self.echoed = 0
        self.out = asyncio.Queue()
        self.timers = []

    # What cases call.

    def sendFrame(self, opcode, payload="", fin=True, rsv=0, mask=None, payload_len=None, chopsize=None, sync=False):
        payload = bytes_of(payload)
        if payload_len is not None:
            payload = (payload * (payload_len // len(payload) + 1))[:payload_len]
        frame = header(opcode, len(payload), fin, rsv) + bytes(4) + payload
        size = chopsize or len(frame)
        for at in range(0, len(frame), size):
            self.out.put_nowait(frame[at : at + size])

    def sendCloseFrame(self, code=None, reasonUtf8=None, isReply=False):
        if self.state != self.STATE_OPEN:
            return
        payload = b"" if code is None else struct.pack("!H", code)
        self.sendFrame(8, (payload + bytes_of(reasonUtf8 or "")).decode("latin-1"))
        self.state = self.STATE_CLOSING
        self.closedByMe = not isReply
        self.localCloseReason = reasonUtf8

    def sendClose(self, code=None, reason=None):
        self.sendCloseFrame(code, reason)

    def sendMessage(self, payload, isBinary=False, fragmentSize=None):
        payload = bytes_of(payload).decode("latin-1")
        size = fragmentSize or max(len(payload), 1)
        for at in range(0, max(len(payload), 1), size):
            opcode = 0 if at else 2 if isBinary else 1
            self.sendFrame(opcode, payload[at : at + size], fin=at + size >= len(payload))

    def beginMessage(self, binary=False, isBinary=False):
        self.opcode = 2 if binary or isBinary else 1

    def beginMessageFrame(self, length):
        self.out.put_nowait(header(self.opcode, length, False, 0) + bytes(4))
        self.opcode = 0

    def sendMessageFrameData(self, payload, sync=False):
        self.out.put_nowait(bytes_of(payload))

    def endMessage(self):
        self.sendFrame(0)

    def killAfter(self, delay):
        self.later(delay * PATIENCE, self.fail)

    def closeAfter(self, delay):
        delay *= PATIENCE
        self.later(delay, lambda: self.sendClose(self.CLOSE_STATUS_CODE_NORMAL))
        # A server that never answers the close is failed, as the suite's own library does.
        self.later(delay + PATIENCE, self.fail)

    def continueLater(self, delay, part, tag=None):
        self.later(delay, part)

    def createWirelog(self, *_):
        pass

    enableWirelog = createWirelog

    # How it goes.

    def later(self, delay, what):
        self.timers.append(asyncio.get_running_loop().call_later(delay, what))

    def fail(self):
        if self.state != self.STATE_CLOSED:
            self.failedByMe = self.droppedByMe = True
            self.writer.close()

    async def write(self):
        while True:
            self.writer.write(await self.out.get())
            await self.writer.drain()
            await asyncio.sleep(0)

    async def frames(self):
        while True:
            first, second = await self.reader.readexactly(2)
            length = second & 127
            if length == 126:
                (length,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", await self.reader.readexactly(8))
            yield first & 15, await self.reader.readexactly(length)

    async def run(self, case):
        self.case = case
        writing = asyncio.ensure_future(self.write())
        try:
            case.onOpen()
            async for opcode, payload in self.frames():
                if self.heard(opcode, payload):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writing.cancel()
            for timer in self.timers:
                timer.cancel()
        self.state = self.STATE_CLOSED
        case.onConnectionLost(self.failedByMe)

    def heard(self, opcode, payload):
        """True when both ends have said goodbye."""
        if opcode == 8:
            self.remoteCloseCode = struct.unpack("!H", payload[:2])[0] if payload else None
            replied = self.state == self.STATE_CLOSING
            self.sendCloseFrame(self.remoteCloseCode, isReply=True)
            self.wasClean = True
            return replied
        if self.state != self.STATE_OPEN:
            return False
        if opcode == 9:
            self.sendFrame(10, payload.decode("latin-1"))
        elif opcode == 10:
            self.case.onPong(payload.decode("latin-1"))
        elif opcode == 1:
            self.case.onMessage(*self.echo(payload))
        return False

    def echo(self, payload):
        expected = [event for event in max(self.case.expected.values(), key=len) if event[0] == "message"]
        at, self.echoed = self.echoed, self.echoed + 1
        return expected[at][1:] if at < len(expected) else (payload.decode(), False)


def header(opcode, length, fin, rsv):
    first = (0x80 if fin else 0) | (rsv << 4) | opcode
    if length < 126:
        return struct.pack("!BB", first, 0x80 | length)
    if length < 1 << 16:
        return struct.pack("!BBH", first, 0xFE, length)
    return struct.pack("!BBQ", first, 0xFF, length)


def statement(*fields):
    fields = [field.encode() for field in fields] + [b""] * (5 - len(fields))
    return b"switchhook/1/" + b"".join(struct.pack("!I", len(field)) + field for field in fields)


def unpadded(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


async def known(host, port):
    """A connection of a device of its own, up to its welcome."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(
        f"GET /v1/default/connect HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: switchhook.v1.json\r\n\r\n".encode()
    )
    answer = await reader.readuntil(b"\r\n\r\n")
    assert b" 101 " in answer, answer
    connection = Connection(reader, writer)
    frames = connection.frames()

    async def said(kind):
        message = json.loads((await anext(frames))[1])
        assert message["type"] == kind, message
        return message

    def say(message):
        writer.write(header(1, len(json.dumps(message)), True, 0) + bytes(4) + json.dumps(message).encode())

    key = Ed25519PrivateKey.generate()
    nonce = (await said("challenge"))["nonce"]
    public = {"algorithm": "ed25519", "public": unpadded(key.public_key().public_bytes_raw())}
    proof = unpadded(key.sign(statement("enrol", nonce, "default", "autobahn")))
    say({"type": "enrol", "application": "autobahn", "device_key": public, "proof": proof, "device_kind": "phone"})
    enrolled = await said("enrolled")
    device, token = enrolled["device"], enrolled["push_token"]
    proof = unpadded(key.sign(statement("hello", nonce, "default", device, token)))
    say({"type": "hello", "device": device, "push_token": token, "proof": proof})
    await said("welcome")
    return connection


async def outcome(case_class, host, port):
    connection = await known(host, port)
    case = case_class(connection)
    try:
        await asyncio.wait_for(connection.run(case), SETTLED)
    finally:
        connection.writer.close()
    return {"behavior": case.behavior, "close": case.behaviorClose, "code": connection.remoteCloseCode}


async def main():
    asked = json.load(sys.stdin)
    places = asyncio.Semaphore(asked["at_once"])

    async def one(case_class):
        async with places:
            return await outcome(case_class, asked["host"], asked["port"])

    cases = {name: case for name, case in load_suite().items() if asked.get("only", name) == name}
    done = await asyncio.gather(*(one(case) for case in cases.values()))
    json.dump(dict(zip(cases, done)), sys.stdout)


asyncio.run(main())

"""What a fuzzer for HTTP sends, made from a seed: whole requests, each with the answer that it must have, and after
them, perhaps, what is none. `Case.check` looks at what came back."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path

FIVE = (Path(__file__).resolve().parent.parent / "examples/five.png").read_bytes()
FORM = b"Content-Type: multipart/form-data; boundary=b\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADES = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    b"upgrade: TLS/1.0\r\nconnection: upgrade\r\n",
    b"Upgrade: h2c\r\nUpgrade: foo/2\r\nConnection: Upgrade\r\n",
)
NOISE = (
    b"Accept: */*\r\n", b"X-Long: " + b"x" * 5000 + b"\r\n", b"Cookie: a=b; c=d\r\n", b"X-Empty:\r\n", b"X:\tx \r\n",
    b"Te: trailers\r\n", b"Referer: http://x/%00%zz\r\n", b"Range: bytes=0-0\r\n",
    b"X-Forwarded-Host: evil.example\r\n", b"If-None-Match: *\r\n", b"X-High: \xe9\xff\r\n",
)  # fmt: skip
QUERIES = (b"", b"", b"", b"?", b"?a=%zz&&=;", b"?image=true", b"?%ff%00%0d%0aX:y", b"?" + b"q=1&" * 500)


@dataclass(frozen=True)
class Asked:
    """A whole request and its answer: the status, and what its JSON must say (None for an answer without a body)."""

    content: bytes
    statuses: tuple[int, ...]
    says: dict[str, object] | None = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """What is sent on one connection, cut into `segments`. `end`: whether the client then closes its sending half,
    resets the connection, or waits for the server to close. After the answers that are due there may be `more` others,
    which refuse, and none at all if it is reset."""

    name: str
    asked: tuple[Asked, ...]
    segments: tuple[bytes, ...]
    end: str
    more: int

    def check(self, received: bytes) -> None:
        """The answers are those that are due, in their order, each once and whole. Raises `AssertionError`."""
        answers = answers_in(received, [one.says is None for one in self.asked])
        if self.end == "reset":
            return
        assert len(self.asked) <= len(answers) <= len(self.asked) + self.more, f"{len(answers)} answers"
        for one, (status, content) in zip(self.asked, answers, strict=False):
            assert status in one.statuses, f"{status} for {one.content[:200]!r}"
            if one.says and status in one.statuses[:1]:
                said = json.loads(content)
                assert {key: said[key] for key in one.says} == one.says, content
        for status, content in answers[len(self.asked) :]:
            assert status in (400, 405, 408, 431), f"{status} in the end: {content!r}"
            assert json.loads(content)["status"] == status, content
        assert b"smuggled" not in received


def answers_in(received: bytes, without_body: list[bool]) -> list[tuple[int, bytes]]:
    """Status and body of each answer, the interim ones left out. `without_body`: which of them answer a HEAD."""
    answers: list[tuple[int, bytes]] = []
    while received:
        head, blank, rest = received.partition(b"\r\n\r\n")
        assert blank, f"an answer that is cut: {received[:200]!r}"
        first, *lines = head.split(b"\r\n")
        version, status, _ = first.split(b" ", 2)
        assert version == b"HTTP/1.1", first
        if status == b"100":
            received = rest
            continue
        headers = {name.lower(): value for name, value in (line.split(b": ", 1) for line in lines)}
        size = int(headers[b"content-length"])
        if len(answers) < len(without_body) and without_body[len(answers)]:
            size = 0
        assert len(rest) >= size, f"an answer that is cut: {received[:200]!r}"
        answers.append((int(status), rest[:size]))
        received = rest[size:]
    return answers


# Whole requests.


def chunked(chance: random.Random, content: bytes) -> bytes:
    """The content in chunks, with what may stand around them."""
    parts = []
    while content:
        size = chance.randint(1, len(content))
        extension = chance.choice([b"", b"", b";a=b", b';a="x"'])
        parts.append(b"%x%b\r\n%b\r\n" % (size, extension, content[:size]))
        content = content[size:]
    trailers = [b"", b"X: 1\r\n", b"Content-Type: text/plain\r\n", UPGRADES[0]]
    trailer = chance.choice(trailers)
    return b"".join(parts) + b"0\r\n" + trailer + b"\r\n"


def whole(chance: random.Random, place: int) -> Asked:
    """A request that is right as HTTP; what it asks for may be wrong."""
    path = b"/fuzz/%d" % chance.getrandbits(40)
    kind = chance.randrange(10)
    headers = b"Host: x\r\n" + b"".join(chance.sample(NOISE, chance.randint(0, 3)))
    headers += chance.choice(UPGRADES) if chance.random() < 0.3 else b""
    query = chance.choice(QUERIES)
    missing: dict[str, object] = {"status": 404, "instance": path.decode()}

    def without_body(target: bytes, says: dict[str, object] | None, status: int = 404, method: bytes = b"GET") -> Asked:
        return Asked(b"%b %b HTTP/1.1\r\n%b\r\n" % (method, target, headers), (status,), says)

    def with_body(start: bytes, content: bytes, says: dict[str, object], *statuses: int, more: bytes = b"") -> Asked:
        head, size = b"%b HTTP/1.1\r\n%b" % (start, headers + more), b"Content-Length: %d\r\n\r\n" % len(content)
        if chance.random() < 0.4:
            return Asked(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(chance, content), statuses, says)
        return Asked(head + size + content, statuses, says)

    if kind == 0:
        return without_body(path + query, None, method=b"HEAD")
    if kind == 1:
        return without_body(b"http://evil.example" + path + query, {"status": 404})
    if kind == 2:
        return without_body(path + b"/%c3%a9%zz%00", missing | {"instance": path.decode() + "/é%zz\0"})
    if kind in (3, 4):
        method = chance.choice([b"POST", b"PUT", b"DELETE", b"GET", b"OPTIONS", b"PATCH"])
        content = chance.choice([b"", b"x" * chance.randint(1, 3000), SMUGGLED * chance.randint(1, 5)])
        return with_body(method + b" " + path + query, content, missing, 404)
    if kind == 5:
        start = chance.choice([b"POST /healthz", b"OPTIONS /docs", b"GET /v1/read"])
        return with_body(start, SMUGGLED, {"status": 405}, 405)
    if kind in (6, 7):
        more = chance.choice([b"", b"Expect: 100-continue\r\n"]) + b"Content-Type: application/json\r\n"
        content = chance.choice([b"{}", b"[]", b'{"readings": []}', b'{"picture": 1, "number": 1}'])
        start = chance.choice([b"POST /v1/read", b"POST /v1/read-number"])
        return with_body(start, content, {"status": 422}, 422, more=more)
    if kind == 8 and chance.random() < 0.3:
        content = (
            b'--b\r\nContent-Disposition: form-data; name="picture"; filename="a; name=number"\r\n\r\n' + FIVE
            + b'\r\n--b\r\nContent-Disposition: form-data; name="number"\r\n\r\n%d\r\n--b--\r\n' % place
        )  # fmt: skip
        if chance.random() < 0.5:
            return with_body(b"POST /v1/read", content, {"number": place, "digit": 5}, 200, 503, more=FORM)
        return with_body(b"POST /v1/read-number", content, {"digits": "5"}, 200, 503, more=FORM)
    return without_body(b"/healthz" + query, {"status": "alive"}, 200)


# What is no request, or only half of one.

POST = b"POST /healthz HTTP/1.1\r\nHost: x\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
END = b"\r\n\r\n"
LONG = b"x" * 400_000
BROKEN: dict[str, tuple[bytes, list[bytes], bytes]] = {
    "nothing": (b"\0", [b"", b"\r\n", b"GET / HTTP/1.1"], END + SMUGGLED),
    "TLS": (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", [b"", b"\xff" * 99], b""),
    "version": (b"GET / ", [b"HTTP/1.10", b"ICE/1.0", b"HTTP/1"], END + SMUGGLED),
    "connect": (b"CONNECT x:443 HTTP/1.1\r\n", [b"", b"Content-Length: 5\r\n", CHUNKED], b"\r\n" + SMUGGLED),
    "bare CR": (b"GET / HTTP/1.1\r\nHost: x\r", [b"X: y", b"\r", b"\t", b"\0"], END + SMUGGLED),
    "fold": (b"GET / HTTP/1.1\r\nX: y\r\n", [b" z: w", b"\tz", b" "], END + SMUGGLED),
    "control": (b"GET / HTTP/1.1\r\nX: ", [b"\0", b"\x7f", b"\x1b[0m"], END + SMUGGLED),
    "space": (POST, [b"Content-Length : 5", b"Transfer-Encoding\t: chunked"], END + b"hello" + SMUGGLED),
    "two lengths": (POST + b"Content-Length: 7\r\nContent-Length: ", [b"0", b"9"], END + SMUGGLED),
    "length": (POST + b"Content-Length: ", [b"-1", b"+1", b"0x5", b"9" * 30, b"1 1", b"5, 6", b"\xb2"], END + SMUGGLED),
    "encoding": (
        POST + b"Transfer-Encoding: ",
        [b"xchunked", b"chunked, gzip", b"gzip", b"chunked\r\nTransfer-Encoding: x", b"\x0bchunked", b'"chunked"'],
        END + b"0" + END + SMUGGLED,
    ),
    "chunk": (
        POST + CHUNKED + b"\r\n",
        [b"x", b"-1", b"5\nhello\n0\n", b"f" * 20, b"0x5\r\nhello", b"5\r\nhelloX\r\n0", b"", b"1 \r\nx"],
        END + SMUGGLED,
    ),
    "trailer": (POST + CHUNKED + b"\r\n0\r\n", [b"X: " + LONG, b"X: y\r\n" * 60_000], b""),
    "head": (b"GET / HTTP/1.1\r\n", [b"X: " + LONG, b"X: y\r\n" * 60_000, LONG], b""),
    "target": (b"GET ", [b"/\xc3\xa9", b"x", b"http://", b"/\x7f", b"/" + LONG, b""], b" HTTP/1.1" + END + SMUGGLED),
    "method": (b"", [b"get", b"GETT", b"FOO", b"G\xc9T", b" GET", b"GET\t", b"PRI"], b" / HTTP/1.1" + END + SMUGGLED),
    "header": (b"GET / HTTP/1.1\r\n", [b": x", b"X", b"X Y: z", b"X\xe9: y", b"(x): y", b" X: y"], END + SMUGGLED),
    "cut form": (b"POST /v1/read HTTP/1.1\r\n", [FORM + b"Content-Length: 99999" + END + b"--b\r\n"], b"x" * 3000),
}  # fmt: skip


def broken(chance: random.Random) -> tuple[str, bytes]:
    """What makes a connection useless, with its name."""
    name = chance.choice([*BROKEN, "cut", "noise"])
    if name == "cut":
        content = POST + b"Content-Length: 9\r\n\r\nsmuggle"
        return name, content[: chance.randint(1, len(content) - 1)]
    if name == "noise":
        return name, b"\0" + chance.randbytes(chance.randint(1, 300))
    start, variants, end = BROKEN[name]
    return name, start + chance.choice(variants) + end


def case(seed: int) -> Case:
    """The case of this seed."""
    chance = random.Random(seed)
    asked = tuple(whole(chance, place) for place in range(chance.choice([0, 1, 1, 1, 2, 3, 8])))
    content, end, more, name = b"".join(one.content for one in asked), "half", 0, "whole"
    if not asked or chance.random() < 0.45:
        name, last = broken(chance)
        content, more = content + last, 1
    elif chance.random() < 0.5:  # the last one says that it is
        version, closing = chance.choice([(b"HTTP/1.1", b"Connection: close\r\n"), (b"HTTP/1.0", b"")])
        content += b"GET /fuzz/last " + version + b"\r\nHost: x\r\n" + closing + b"\r\n"
        asked, end = (*asked, Asked(b"", (404,), {"instance": "/fuzz/last"})), "wait"
    if name == "cut form" and chance.random() < 0.1:
        end = "wait"  # until the server has waited long enough
    elif chance.random() < 0.05:
        end, content = "reset", content[: chance.randint(0, len(content))]
    return Case(name, asked, segments(chance, content), end, more)


def segments(chance: random.Random, content: bytes) -> tuple[bytes, ...]:
    """The content in one piece, in a few, or, its beginning, byte by byte."""
    count = chance.choice([1, 1, 1, 2, 3, 20]) if len(content) > 20 else 1
    if count == 20:
        return (*(content[place : place + 1] for place in range(19)), content[19:])
    cuts = sorted(chance.randrange(len(content)) for _ in range(count - 1))
    return tuple(content[start:end] for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True))


async def answered(port: int, case: Case) -> bytes:
    """What comes back for a case until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        for place, segment in enumerate(case.segments):
            if place:
                await asyncio.sleep(0.001)
            writer.write(segment)
            await writer.drain()
        if case.end == "half":
            writer.write_eof()
        elif case.end == "reset":
            found: socket.socket = writer.get_extra_info("socket")
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return b""
        while part := await reader.read(2**16):
            received += part
    except ConnectionError:
        assert case.more, f"reset: {case}"  # what it still sent was in the way of the answer
    finally:
        writer.close()
    return received

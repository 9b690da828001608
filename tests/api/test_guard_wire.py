"""The listener against clients that mean harm, on a real socket: what is sent is never answered
twice, nothing grows, and others are served meanwhile."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import time

import httpx
import pytest
from facade_kit import Served, eventually, raw, said, serving

from api.protocol import BoundedProtocol

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
HEAD = b"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\n"
EVENT = b'{"text": "x"}'


def statuses(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def connections(served: Served) -> int:
    assert served.facade is not None
    return len(served.facade._server.server_state.connections)


async def alive(served: Served) -> None:
    assert statuses(await raw(served.port, LAST)) == [200]


SMUGGLED = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 13\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 13\r\n",
        b"Content-Length: 13\r\nContent-Length: 14\r\n",
        b"Content-Length: 13\r\nContent-Length: 13\r\n",
        b"Content-Length: 13, 13\r\n",
        b"Content-Length: +13\r\n",
        b"Content-Length: 13 14\r\n",
        b"Content-Length : 13\r\n",
        b"Content-Length:\r\n 13\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: identity, chunked, chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b"Transfer-Encoding: chunked\x00\r\n",
        b"X: y\rTransfer-Encoding: chunked\r\n",
        b"\r\nTransfer-Encoding: chunked\r\n",
        b" Transfer-Encoding: chunked\r\n",
        b"X\x00Y: z\r\n",
        b": z\r\n",
        b"noise\r\n",
    ],
)
async def test_a_request_that_two_servers_read_differently(served: Served, headers: bytes) -> None:
    """Whatever a proxy in front took for a body is never answered as a request of its own."""
    request = HEAD + headers + b"\r\n" + b"0\r\n\r\n" + SMUGGLED
    answer = await raw(served.port, request, seconds=0.5)
    assert all(status >= 400 for status in statuses(answer)), answer
    assert b"tier/meta" not in answer
    assert served.events.posted == []
    await alive(served)


@pytest.mark.parametrize(
    "chunks",
    [
        b"zz\r\nabc\r\n0\r\n\r\n",
        b"-1\r\nabc\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\nabc\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabcdef\r\n0\r\n\r\n",
        b"3;" + b"x" * 200_000 + b"\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n0\r\n" + b"A: b\r\n" * 40_000,
        b"3\r\nabc\r\n0\r\nA: " + b"b" * 400_000,
    ],
    ids=lambda chunks: repr(chunks[:20]),
)
async def test_chunks_that_are_none(served: Served, chunks: bytes) -> None:
    request = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
    answer = await raw(served.port, request, seconds=1)
    assert statuses(answer) in ([400], []), answer[:200]
    if answer:
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"]
    assert served.events.posted == []
    await eventually(lambda: connections(served) == 0)


async def test_trailers_are_nobodys_headers(served: Served) -> None:
    body = b"%x\r\n%s\r\n0\r\nHost: evil\r\nX-Request-ID: trailer\r\n\r\n" % (len(EVENT), EVENT)
    answer = await raw(
        served.port, HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    )
    assert statuses(answer) == [202]
    assert b"trailer" not in answer


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        (b"GET /healthz HTTP/1.0", {200}),
        (b"GET http://localhost/healthz HTTP/1.1", {200}),
        (b"GET /healthz HTTP/2.0", {400}),
        (b"GET /healthz HTTP/9.9", {400}),
        (b"GET /healthz", {400}),
        (b"GET  /healthz HTTP/1.1", {200, 400}),
        (b"get /healthz HTTP/1.1", {400}),
        (b"BREW /healthz HTTP/1.1", {400}),
        (b"CONNECT localhost:80 HTTP/1.1", {400, 404, 405}),
        (b"OPTIONS * HTTP/1.1", {400, 404, 405}),
        (b"TRACE /healthz HTTP/1.1", {405, 400}),
        (b"GET \xff\xfe HTTP/1.1", {400}),
        (b"GET /%ff%fe%00 HTTP/1.1", {404}),
        (b"GET //evil.example/healthz HTTP/1.1", {404}),
        (b"GET /healthz#x HTTP/1.1", {200, 400}),
        (b"GET /api/v1/incidents?state=%ff%fe&limit=%00 HTTP/1.1", {400}),
        (b"GET /../../etc/passwd HTTP/1.1", {404}),
        (b"GET /healthz?" + b"a" * 60_000 + b" HTTP/1.1", {200}),
    ],
    ids=lambda line: repr(line)[:32],
)
async def test_request_lines(served: Served, request_line: bytes, expected: set[int]) -> None:
    answer = await raw(
        served.port, request_line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n", seconds=2
    )
    assert len(statuses(answer)) == 1, answer
    assert statuses(answer)[0] in expected, answer
    assert b"Traceback" not in answer
    await eventually(lambda: connections(served) == 0)


async def test_refusals_on_the_wire_are_envelopes(served: Served) -> None:
    for request, status in (
        (b"\x16\x03\x01\x00\xa5\r\n\r\n", 400),
        (GET[:-2] + b"X: y\r\n" * 201 + b"\r\n", 431),
        (GET[:-2] + b"X: " + b"y" * 70_000, 431),
    ):
        answer = await raw(served.port, request, seconds=2)
        assert statuses(answer) == [status]
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"content-type: application/json" in head
        assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}


async def test_requests_ahead_of_their_answers(served: Served) -> None:
    # A few are answered in order; thousands in one packet are not kept.
    answer = await raw(served.port, GET * 4 + LAST, seconds=3)
    assert statuses(answer) == [200] * 5
    answer = await raw(served.port, GET * 5_000 + LAST, seconds=2)
    assert len(statuses(answer)) <= 1 + BoundedProtocol.ahead_limit
    assert set(statuses(answer)) <= {200}
    await eventually(lambda: connections(served) == 0)
    await alive(served)


async def test_garbage_behind_a_request_does_not_reach_into_its_answer(served: Served) -> None:
    async def script():  # type: ignore[no-untyped-def]
        await asyncio.sleep(0.2)
        async for event in said("x" * 1_000):
            yield event

    served.agent.script = script
    body = json.dumps({"model": "triaged", "messages": [{"role": "user", "content": "x"}]}).encode()
    request = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    answer = await raw(served.port, request % len(body) + body + b"\0\0garbage\r\n\r\n", seconds=2)
    assert len(statuses(answer)) <= 1
    await eventually(lambda: served.agent.running == 0)


async def test_a_refused_body_is_taken_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "drain_seconds", 0.3)
    monkeypatch.setattr(BoundedProtocol, "drain_bytes", 200_000)
    async with serving(body_limit=2_000) as served:
        # All of it comes: the client reads why, and may go on over the same connection.
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(HEAD + b"Content-Length: 100000\r\n\r\n")
        for _ in range(10):
            writer.write(b"x" * 10_000)
            await writer.drain()
        writer.write(LAST)
        answer = await asyncio.wait_for(reader.read(), 3)
        assert statuses(answer) == [413, 200]
        writer.close()
        # It drips: the connection ends.
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(HEAD + b"Content-Length: 100000\r\n\r\n")
        began = time.monotonic()
        with pytest.raises(ConnectionError):  # noqa: PT012 - when exactly is the kernel's
            for _ in range(100):
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        assert time.monotonic() - began < 3
        writer.close()
        # It never ends: so does the connection.
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        with pytest.raises(ConnectionError):  # noqa: PT012
            for _ in range(10_000):
                writer.write(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
                await writer.drain()
        writer.close()
        await eventually(lambda: connections(served) == 0)


async def test_waiting_connections_make_room(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedProtocol, "connections_limit", 4)
    held = asyncio.Event()

    async def script():  # type: ignore[no-untyped-def]
        await held.wait()
        async for event in said("x"):
            yield event

    served.agent.script = script
    ask = {"model": "triaged", "messages": [{"role": "user", "content": "x"}]}
    async with httpx.AsyncClient(base_url=served.url, timeout=10) as http:
        answer = asyncio.create_task(http.post("/v1/chat/completions", json=ask))
        await eventually(lambda: served.agent.running == 1)
        # Connections that send nothing are put out for those that ask, the oldest first.
        streams = [await asyncio.open_connection("127.0.0.1", served.port) for _ in range(20)]
        for _ in range(5):
            await alive(served)
        assert connections(served) <= 4
        held.set()
        assert (await answer).status_code == 200, "a request in progress is not"
    ended = await asyncio.gather(*(_ended(reader) for reader, _ in streams))
    assert sum(ended) >= 16
    for _, writer in streams:
        writer.close()


async def _ended(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(0.2):
            return await reader.read() == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


async def test_no_room_where_every_connection_is_in_a_request(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedProtocol, "connections_limit", 2)
    writers = []
    for _ in range(2):
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        writers.append(writer)
    await eventually(lambda: served.live.followers == 2)
    assert await raw(served.port, LAST, seconds=1) == b""
    for writer in writers:
        writer.close()
    await eventually(lambda: served.live.followers == 0)
    await alive(served)


async def test_thousands_of_connections_leave_nothing(served: Served) -> None:
    assert served.facade is not None
    state = served.facade._server.server_state
    before = len(asyncio.all_tasks())

    async def one(number: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        if number % 2:
            writer.write(HEAD + b"Content-Length: 1000\r\n\r\nabc" if number % 3 else GET[:20])
        writer.transport.abort()

    for start in range(0, 2_000, 100):
        await asyncio.gather(*(one(number) for number in range(start, start + 100)))
    await eventually(lambda: not state.connections and not state.tasks, seconds=10)
    await eventually(lambda: len(asyncio.all_tasks()) <= before)
    await alive(served)


async def test_a_slow_body_harms_nobody_else(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers = []
    for _ in range(50):
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(HEAD + b"Content-Length: 1000\r\n\r\n{")
        writers.append(writer)
    began = time.monotonic()
    for _ in range(20):
        await alive(served)
    assert time.monotonic() - began < 5
    for writer in writers:
        writer.transport.abort()
    await eventually(lambda: connections(served) == 0)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/events", b"[" * 100_000),
        ("/api/v1/events", b'{"text": ' + b"5" * 100_000 + b"}"),
        ("/v1/chat/completions", b'{"messages": 5, "x": "' + b"x" * 100_000 + b'"}'),
        ("/v1/responses", b"{" * 100_000),
        ("/nothing", b"x" * 100_000),
    ],
)
async def test_what_was_refused_is_not_kept(served: Served, path: str, body: bytes) -> None:
    """The garbage collector looks seldom in a daemon; a body must not wait for it in a circle."""
    async with httpx.AsyncClient(base_url=served.url) as http:
        await http.post(path, content=body)
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                assert (await http.post(path, content=body)).status_code in (400, 404)
            kept = [type(o) for o in gc.get_objects() if isinstance(o, Exception)]
        finally:
            gc.enable()
    ours = [kind for kind in kept if "Validation" in kind.__name__ or "Decode" in kind.__name__]
    assert not ours

"""Who may ask, under which name, and how much: against hostile requests on a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest
from facade_kit import Served, access_for, assembled, eventually, in_process, raw, serving

from api.cors import Cors
from api.guard import Guard
from api.loopback import is_loopback
from api.protocol import BoundedProtocol


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0


def error_of(answer: bytes) -> dict[str, object]:
    error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return dict(error)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:8083", True),
        ("localhost.:8083", True),
        ("127.0.0.1:8083", True),
        ("127.8.9.1", True),
        ("[::1]", True),
        ("[::1]:8083", True),
        ("", False),
        ("::1", False),
        ("[::1", False),
        ("[::1]evil", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost:80@evil.example", False),
        ("evil.example#localhost", False),
        ("localhost:port", False),
        ("10.0.0.1", False),
        ("[fe80::1]", False),
        ("2130706433", False),
    ],
)
async def test_host_header(http: httpx.AsyncClient, host: str, allowed: bool) -> None:
    response = await http.get("/healthz", headers={"Host": host})
    assert response.status_code == (200 if allowed else 403)


async def test_without_a_host_header(served: Served) -> None:
    answer = await raw(served.port, b"GET /healthz HTTP/1.0\r\n\r\n")
    assert status_of(answer) == 403
    assert error_of(answer)["code"] == "wrong_host"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://localhost:3000"}, 200),
        ({"Origin": "http://[::1]:1"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "http://[bad"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
    ],
)
async def test_pages_from_elsewhere_change_nothing(
    http: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    response = await http.post("/api/v1/review", headers=headers)
    assert response.status_code == status


@pytest.fixture
async def locked() -> AsyncIterator[httpx.AsyncClient]:
    parts = assembled(keys=("one-key", "schlüssel"), loopback=False)
    async with in_process(parts.app) as client:
        yield client


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        (b"", 401),
        (b"Bearer", 401),
        (b"Bearer ", 401),
        (b"Bearer wrong", 401),
        (b"Bearer one-key extra", 401),
        (b"Basic one-key", 401),
        (b"one-key", 401),
        (b"Bearer \xff\xfe", 401),
        (b"Bearer " + b"x" * 10_000, 401),
        (b"Bearer one-key", 200),
        (b"bearer  one-key ", 200),
        ("Bearer schlüssel".encode(), 200),
    ],
)
async def test_keys(locked: httpx.AsyncClient, authorization: bytes | None, status: int) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    response = await locked.get("/v1/models", headers=headers)  # type: ignore[arg-type]
    assert response.status_code == status
    if status == 401:
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.json()["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("path", ["/metrics", "/readyz", "/openapi.json", "/nothing", "//healthz"])
async def test_everything_but_healthz_is_locked(locked: httpx.AsyncClient, path: str) -> None:
    assert (await locked.get("/healthz")).status_code == 200
    response = await locked.get(f"http://elsewhere{path}")
    assert response.status_code == 401


def test_an_open_door_is_never_an_accident() -> None:
    with pytest.raises(ValueError, match="key"):
        assembled(keys=(), loopback=False)


@pytest.mark.parametrize("keys", [("",), ("\n  \n# nothing\n",)])
@pytest.mark.parametrize("loopback", [True, False])
async def test_a_file_without_keys_locks_everybody_out(keys: Sequence[str], loopback: bool) -> None:
    async with in_process(assembled(keys=keys, loopback=loopback).app) as client:
        for key in ("", "Bearer ", "Bearer #", "Bearer # nothing"):
            headers = {"Authorization": key}
            assert (await client.get("/v1/models", headers=headers)).status_code == 401


def test_loopback_addresses() -> None:
    for host in ("localhost", "127.0.0.1", "127.1.2.3", "::1"):
        assert is_loopback(host)
    for host in (
        "",
        "0.0.0.0",  # noqa: S104 - nothing is bound
        "::",
        "host",
        "192.168.0.1",
        "localhost.example",
    ):
        assert not is_loopback(host)


def chunked(parts: Sequence[bytes]) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


HEAD = b"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


async def test_bodies_that_are_too_large() -> None:
    async with serving(body_limit=2_000) as served:
        answer = await raw(served.port, HEAD + b"Content-Length: 2001\r\n\r\n" + b"x" * 2_001)
        assert status_of(answer) == 413
        assert error_of(answer)["code"] == "body_too_large"
        request = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked([b"x" * 500] * 10)
        answer = await raw(served.port, request)
        assert status_of(answer) == 413
        assert error_of(answer)["code"] == "body_too_large"
        body = json.dumps({"text": "x" * 1_900}).encode()
        request = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked([body[:9], body[9:]])
        assert status_of(await raw(served.port, request)) == 202
        assert [event.text for event in served.events.posted] == ["x" * 1_900]


@pytest.mark.parametrize("length", [b"-1", b"1e3", b"9" * 30, b"\xb2", b"0x10", b""])
async def test_lengths_that_are_none(served: Served, length: bytes) -> None:
    answer = await raw(served.port, HEAD + b"Content-Length: " + length + b"\r\n\r\n", seconds=2)
    assert status_of(answer) in (400, 413)
    assert b"Traceback" not in answer


async def test_lengths_that_are_none_at_the_guard_itself() -> None:
    app = assembled().app
    for length in (b"\xb2", b"-1", b"9" * 5_000):
        sent = []

        async def send(message: dict[str, object], sent: list[dict[str, object]] = sent) -> None:
            sent.append(message)

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b""}

        headers = [(b"host", b"localhost"), (b"content-length", length)]
        scope = {
            "type": "http", "method": "POST", "path": "/api/v1/events", "headers": headers,
            "query_string": b"", "app": app, "http_version": "1.1", "scheme": "http",
        }  # fmt: skip
        guard = Guard(app, access=access_for(), body_limit=100, cors=Cors(()))
        await guard(scope, receive, send)  # type: ignore[arg-type]
        assert sent[0]["status"] in (400, 413)


async def test_a_body_that_does_not_come() -> None:
    parts = assembled()
    guard = Guard(parts.app, access=access_for(), body_limit=100, cors=Cors(()), body_seconds=0.2)
    transport = httpx.ASGITransport(app=guard)

    async def slow() -> AsyncIterator[bytes]:
        yield b'{"text":'
        await asyncio.sleep(5)

    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        response = await client.post("/api/v1/events", content=slow())
    assert response.status_code == 408
    assert response.json()["error"]["code"] == "body_too_slow"


async def test_bodies_of_all_requests_together_are_bounded() -> None:
    async with serving(body_limit=1_000) as served:
        writers = []
        for _ in range(17):
            _, writer = await asyncio.open_connection("127.0.0.1", served.port)
            writer.write(HEAD + b"Content-Length: 1000\r\n\r\n" + b" " * 990)
            writers.append(writer)
        await asyncio.sleep(0.2)
        answer = await raw(served.port, HEAD + b"Content-Length: 900\r\n\r\n" + b" " * 900)
        assert status_of(answer) == 503
        assert b"retry-after: 5" in answer.lower()
        for writer in writers:
            writer.close()
        await asyncio.sleep(0.1)
        body = b'{"text": "x"}'
        answer = await raw(served.port, HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert status_of(answer) == 202, "what was given up is given back"


async def test_headers_without_end(served: Served) -> None:
    line = b"X-A: " + b"a" * 8_000 + b"\r\n"
    answer = await raw(served.port, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + line * 20, seconds=3)
    assert status_of(answer) == 431
    answer = await raw(served.port, b"GET /" + b"a" * 200_000, seconds=3)
    assert status_of(answer) in (400, 431)


async def test_headers_that_do_not_come(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedProtocol, "header_seconds", 0.2)
    for begun in (b"", b"GET /healthz HTTP/1.1\r\nHost: loc"):
        answer = await raw(served.port, begun, seconds=2)
        assert status_of(answer) == 408
    # A keep-alive connection gets new patience for each request, and its body is not counted.
    body = json.dumps({"text": "x" * 60_000, "unit": ""}).encode() + b" " * 60_000
    request = b"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    for _ in range(2):
        writer.write(request % len(body) + body)
        answer = await reader.readuntil(b"}")
        assert status_of(answer) == 202
    writer.close()


async def test_rubbish_on_the_wire(served: Served) -> None:
    for rubbish in (b"\x16\x03\x01\x00\xa5\x01\x00\x00", b"\0" * 100, b"PRI * HTTP/2.0\r\n\r\n"):
        answer = await raw(served.port, rubbish + b"\r\n\r\n", seconds=1)
        assert status_of(answer) in (0, 400)
    answer = await raw(
        served.port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", seconds=0.3
    )
    assert status_of(answer) == 200


async def test_websockets_are_refused(served: Served) -> None:
    answer = await raw(
        served.port,
        b"GET /api/v1/live HTTP/1.1\r\nHost: evil.example\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AA==\r\n\r\n",
        seconds=0.5,
    )
    assert status_of(answer) == 403


async def test_a_stalled_upload_that_is_dropped_leaves_nothing(served: Served) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(HEAD + b"Content-Length: 1000\r\n\r\nabc")
    await asyncio.sleep(0.05)
    writer.transport.abort()
    server = served.facade._server if served.facade else None
    assert server is not None
    await eventually(lambda: not server.server_state.tasks)

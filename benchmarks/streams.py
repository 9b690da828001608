"""A client of streamed chats that costs next to nothing: bytes are counted, not parsed.

One connection a worker, kept open where the server keeps it; the clock starts when the request is
written to an open connection and is read in the very callback that brings bytes, so that neither a
parser nor the event loop's queue is measured.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

_FRAME = b"data: "
_CONTENT = re.compile(rb'"content":\s*"')
_END = b"\r\n0\r\n\r\n"
_SECONDS = 60.0
_SETTLE_SECONDS = 0.003


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to send chats: `url` is the whole URL, `model` what it is called there."""

    name: str
    url: str
    model: str
    key: str = ""

    def request(self, *, prompt: str, max_tokens: int) -> bytes:
        """The request as bytes."""
        parts = urlsplit(self.url)
        body = json.dumps(
            {
                "model": self.model,
                "stream": True,
                "max_tokens": max_tokens,
                "temperature": 0,
                "messages": [{"role": "user", "content": prompt}],
            }
        ).encode()
        head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        )
        if self.key:
            head += f"Authorization: Bearer {self.key}\r\n"
        return head.encode() + b"\r\n" + body


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Milliseconds of one request: to its end, to its first token, and the mean between tokens
    (None with fewer than two)."""

    total: float
    first: float
    between: float | None


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.open = False
        self._done: asyncio.Future[None] | None = None
        self._tail = b""
        self._begun = self._first = self._last = self._end = 0.0
        self._tokens = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self._done is not None and not self._done.done():
            self._done.set_exception(ConnectionError(f"cut after {self._tail!r}"))

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        found = len(_CONTENT.findall(data))
        if found:
            self._first = self._first or now
            self._last = now
            self._tokens += found
        self._tail = (self._tail + data)[-512:]
        if (
            (self._tail.endswith(_END) or b'"error"' in data)
            and self._done is not None
            and not self._done.done()
        ):
            self._end = now
            self._done.set_result(None)

    def close(self) -> None:
        self._transport.close()

    async def ask(self, request: bytes) -> Timed:
        """One request. Raises ConnectionError for what is no answer."""
        self._done = asyncio.get_running_loop().create_future()
        self._tail, self._first, self._last, self._tokens = b"", 0.0, 0.0, 0
        self._begun = time.perf_counter()
        self._transport.write(request)
        async with asyncio.timeout(_SECONDS):
            await self._done
        if not self._tokens:
            raise ConnectionError(f"no token in the answer, which ends with {self._tail!r}")
        return Timed(
            total=1e3 * (self._end - self._begun),
            first=1e3 * (self._first - self._begun),
            between=1e3 * (self._last - self._first) / (self._tokens - 1)
            if self._tokens > 1
            else None,
        )


async def _worker(target: Target, requests: Sequence[bytes], *, delay: float) -> list[Timed | None]:
    await asyncio.sleep(delay)
    parts = urlsplit(target.url)
    loop = asyncio.get_running_loop()
    connection: _Connection | None = None
    timed: list[Timed | None] = []
    try:
        for request in requests:
            if connection is None or not connection.open:  # not part of what is timed
                _, connection = await loop.create_connection(
                    _Connection, parts.hostname, parts.port
                )
            # Long enough to be accepted, or to hear that the server has closed: llama-server
            # does after every stream.
            await asyncio.sleep(_SETTLE_SECONDS)
            if not connection.open:
                _, connection = await loop.create_connection(
                    _Connection, parts.hostname, parts.port
                )
                await asyncio.sleep(_SETTLE_SECONDS)
            try:
                timed.append(await connection.ask(request))
            except ConnectionError:
                timed.append(None)
    finally:
        if connection is not None:
            connection.close()
    return timed


async def streams(
    target: Target, *, workers: int, each: int, max_tokens: int, prompt: str, spread: float = 0.0
) -> list[Timed | None]:
    """`each` requests by each of `workers`, one after the other, all workers at once, begun evenly
    within `spread` seconds; None for one that was answered with an error or not at all."""
    requests = [
        [
            target.request(prompt=f"{prompt} ({worker}.{number})", max_tokens=max_tokens)
            for number in range(each)
        ]
        for worker in range(workers)
    ]
    done = await asyncio.gather(
        *(
            _worker(target, mine, delay=spread * number / workers)
            for number, mine in enumerate(requests)
        )
    )
    return [one for mine in done for one in mine]

"""An endpoint on loopback that says what a test wants, and a client that sees bytes."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable

HEAD = b"HTTP/1.1 200 OK\r\nServer: double\r\nSet-Cookie: a=b\r\n"
SSE = HEAD + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def whole(body: bytes, *, status: bytes = b"200 OK", more: bytes = b"") -> bytes:
    length = b"Content-Length: %d\r\n" % len(body)
    kind = b"Content-Type: application/json\r\n"
    return b"HTTP/1.1 " + status + b"\r\n" + kind + more + length + b"\r\n" + body


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes


Script = Callable[[Seen, asyncio.StreamWriter], Awaitable[bool]]
"""Answers one request; true keeps the connection."""


class Endpoint:
    """Where a tier's model would be."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.connections = 0
        self.gone = asyncio.Event()
        """A connection was closed by the other side during an answer."""
        self.script: Script = self._fine

    async def _fine(self, _seen: Seen, writer: asyncio.StreamWriter) -> bool:
        writer.write(whole(b'{"usage":{"prompt_tokens":3,"completion_tokens":2}}'))
        return True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (first := await reader.readline()).strip():
                headers = {}
                while (line := await reader.readline()).strip():
                    name, _, value = line.decode().partition(":")
                    headers[name.lower()] = value.strip()
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                seen = Seen(line=first.decode().strip(), headers=headers, body=body)
                self.seen.append(seen)
                answering = asyncio.ensure_future(self.script(seen, writer))
                ended = asyncio.ensure_future(self._until_closed(reader, answering))
                try:
                    kept = await answering
                    await writer.drain()
                finally:
                    answering.cancel()
                    ended.cancel()
                    await asyncio.wait({answering, ended})
                if not kept:
                    return
        except (ConnectionError, asyncio.CancelledError):
            self.gone.set()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _until_closed(
        self, reader: asyncio.StreamReader, answering: asyncio.Future[bool]
    ) -> None:
        while not reader.at_eof() and reader.exception() is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        self.gone.set()
        answering.cancel()


@contextlib.asynccontextmanager
async def endpoint() -> AsyncIterator[tuple[Endpoint, str]]:
    """The endpoint and its URL."""
    double = Endpoint()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await double.serve(reader, writer)
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield double, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(set(tasks), timeout=5)
        await server.wait_closed()

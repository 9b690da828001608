"""uvicorn's HTTP protocol with the bounds that it lacks: connections, headers, patience, and what
one connection may send ahead.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.errors import envelope

_HEADER_BYTES = 64 * 1024
_HEADERS = 200
_HEADER_SECONDS = 20.0
_CONNECTIONS = 512
_AHEAD = 8
_DRAIN_SECONDS = 5.0
_DRAIN_BYTES = 16 * 1024 * 1024
_STALL_SECONDS = 60.0

_REASONS = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}


class _RefusedError(Exception):
    """Ends the parser in the middle of what was received."""


class BoundedProtocol(HttpToolsProtocol):
    """Bounds what somebody who has shown no key yet can take: memory, file descriptors, time.

    Above `connections_limit` the connection that has waited longest for a request is closed for the
    new one; where every connection is in a request, the new one is. Request line and headers have
    bounds in bytes, number and seconds. At most `ahead_limit` requests may be sent before the
    answer to the first. A body that nobody reads (its request was refused) is taken for
    `drain_seconds` and `drain_bytes`, so that the client gets to read why; and what comes beside
    bodies (trailers, extensions of chunks) must not be larger than headers.

    A client that does not read its answer is cut off after `stall_seconds` in which nothing of what
    is held for it (64 KiB) went out.

    Bodies themselves are not bounded here: that is the guard's work.
    """

    connections_limit = _CONNECTIONS
    header_bytes = _HEADER_BYTES
    headers_limit = _HEADERS
    header_seconds = _HEADER_SECONDS
    ahead_limit = _AHEAD
    drain_seconds = _DRAIN_SECONDS
    drain_bytes = _DRAIN_BYTES
    stall_seconds = _STALL_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_headers = True
        self._header_size = 0
        self._beside = 0  # bytes since the last ones of a body
        self._drained = 0
        self._waiting_since = 0.0
        self._patience: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._refusal = (400, "This is not HTTP as this server understands it.")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waiting_since = self.loop.time()
        if len(self.connections) > self.connections_limit and not self._make_room():
            transport.abort()
            return
        self._wait(self.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._read_again()
        self.pipeline.clear()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        held = self.transport.get_write_buffer_size()
        self._stalled = self.loop.call_later(self.stall_seconds, self._unless_read, held)

    def resume_writing(self) -> None:
        self._read_again()
        super().resume_writing()

    def _unless_read(self, held: int) -> None:
        now = self.transport.get_write_buffer_size()
        if now >= held:
            self.transport.abort()
        else:
            self._stalled = self.loop.call_later(self.stall_seconds, self._unless_read, now)

    def _read_again(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def data_received(self, data: bytes) -> None:
        if self._in_headers:
            self._header_size += len(data)
            if self._patience is None:
                self._wait(self.header_seconds)
        else:
            self._beside += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        # What came with the end of the headers is body, and no longer counted.
        if self._in_headers and self._header_size > self.header_bytes:
            self._refuse(
                431, f"Request line and headers are larger than {self.header_bytes} bytes."
            )
        elif not self._in_headers and self._beside > self.header_bytes:
            self._refuse(400, "More was sent beside the body than a body needs.")

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers are headers of nothing: nobody reads them, and their number is not bounded.
        if self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_waiting()
        if len(self.headers) > self.headers_limit:
            self._refusal = (431, f"There are more than {self.headers_limit} headers.")
            raise _RefusedError
        if self.parser.get_http_version() not in ("1.0", "1.1"):
            self._refusal = (400, "This server speaks HTTP/1.1.")
            raise _RefusedError
        self._in_headers = False
        self._header_size = self._beside = self._drained = 0
        super().on_headers_complete()
        if len(self.pipeline) > self.ahead_limit:
            self._refusal = (400, "Too many requests were sent ahead of their answers.")
            raise _RefusedError

    def on_body(self, body: bytes) -> None:
        self._beside = 0
        if self.cycle.response_complete:
            self._drained += len(body)
            if self._drained > self.drain_bytes:
                self.transport.abort()
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_headers = True
        self._header_size = 0
        self._waiting_since = self.loop.time()
        if self.cycle.response_complete:  # all of an unread body has come after all
            self._wait(self.header_seconds)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._waiting_since = self.loop.time()
        if self.cycle.response_complete and not self._in_headers:
            self._wait(self.drain_seconds)

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls when the parser has ended: the envelope instead of its plain text."""
        self._refuse(*self._refusal)

    def _make_room(self) -> bool:
        """Closes the connection that has waited longest for a request, if any waits."""
        waiting = [other for other in self.connections if other is not self and _waits(other)]
        if not waiting:
            return False
        longest = min(waiting, key=_since)
        self.connections.discard(longest)  # now, not in the loop's next turn
        longest.transport.abort()
        return True

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._patience = self.loop.call_later(
            seconds, self._refuse, 408, "The request did not arrive in time."
        )

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _refuse(self, status: int, message: str) -> None:
        """Says why, where no answer is under way, and closes the connection."""
        self._stop_waiting()
        if self.transport.is_closing():
            return
        if self._may_say():
            body = orjson.dumps(envelope(status=status, message=message, code="bad_request"))
            self.transport.write(
                b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
                b"connection: close\r\n\r\n%s" % (status, _REASONS[status], len(body), body)
            )
        self.transport.close()

    def _may_say(self) -> bool:
        """Whether an answer of ours would be taken for the answer to what was sent last: none is
        under way or waits, and that has none yet."""
        cycle: Any = self.cycle  # None before the first request
        if cycle is None or self.pipeline:
            return cycle is None
        return self._in_headers if cycle.response_complete else not cycle.response_started


def _waits(connection: Any) -> bool:
    """Whether no request is in progress on it."""
    return connection.cycle is None or connection.cycle.response_complete


def _since(connection: Any) -> float:
    since: float = connection._waiting_since  # noqa: SLF001 - of its own kind
    return since

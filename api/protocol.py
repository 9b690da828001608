"""uvicorn's HTTP protocol with the bounds that it lacks: connections, headers, and patience."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEADER_BYTES = 64 * 1024
_HEADER_SECONDS = 20.0
_CONNECTIONS = 512


class BoundedProtocol(HttpToolsProtocol):
    """Refuses connections above a number, and ends those whose request line and headers are too
    long or too slow. Whoever can reach the port could otherwise use up the daemon's memory and
    file descriptors before any key is asked for.

    The body is not bounded here: that is the guard's work.
    """

    connections_limit = _CONNECTIONS
    header_bytes = _HEADER_BYTES
    header_seconds = _HEADER_SECONDS

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_headers = True
        self._header_size = 0
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.connections_limit:
            transport.abort()
            return
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_headers:
            self._header_size += len(data)
            if self._patience is None:
                self._wait_for_headers()
        super().data_received(data)
        # What came with the end of the headers is body, and no longer counted.
        if self._in_headers and self._header_size > self.header_bytes:
            self._refuse(b"431 Request Header Fields Too Large")

    def on_headers_complete(self) -> None:
        self._in_headers = False
        self._header_size = 0
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_headers = True
        self._header_size = 0

    def _wait_for_headers(self) -> None:
        self._patience = self.loop.call_later(
            self.header_seconds, self._refuse, b"408 Request Timeout"
        )

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _refuse(self, status: bytes) -> None:
        self._stop_waiting()
        if self.transport.is_closing():
            return
        self.transport.write(
            b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
        self.transport.close()

"""Server-sent events from a stream of bytes, bounded.

Only what chat endpoints use of the format (WHATWG HTML, section 9.2): `data` and `error` fields;
comments and other fields are passed over. Line ends may be LF, CRLF or CR.
"""

from __future__ import annotations

from collections.abc import Iterator

MAX_EVENT_BYTES = 4 * 1024 * 1024


class SseOverflowError(Exception):
    """An event is larger than any answer may be."""


class SseParser:
    """Feed it bytes, take out (field, payload) pairs; field is "data" or "error".

    llama-server writes a failure in mid-stream as an event with the field `error`.
    """

    __slots__ = ("_data", "_field", "_rest", "_size")

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._field = "data"
        self._size = 0

    def feed(self, chunk: bytes) -> Iterator[tuple[str, bytes]]:
        """The events that end within `chunk`. Raises `SseOverflowError`."""
        buffer = self._rest + chunk
        held = b""
        if buffer.endswith(b"\r"):  # may be the first half of CRLF
            buffer, held = buffer[:-1], b"\r"
        lines = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop() + held
        if self._size + len(self._rest) > MAX_EVENT_BYTES:
            raise SseOverflowError
        for line in lines:
            if not line:
                if self._data:
                    yield self._field, b"\n".join(self._data)
                self._data, self._field, self._size = [], "data", 0
                continue
            name, _, value = line.partition(b":")
            if name in (b"data", b"error"):
                self._field = name.decode()
                self._data.append(value.removeprefix(b" "))
                self._size += len(value)
                if self._size > MAX_EVENT_BYTES:
                    raise SseOverflowError

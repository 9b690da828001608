"""An endpoint whose tokens come by the clock, as those of a model on other hardware do.

    python -m benchmarks.paced_endpoint PORT FILE SECONDS

It writes the events of an answer that a real llama-server gave (FILE), one every so many SECONDS in
each stream, and costs next to no processor time: so any number of streams can be open at once
without anybody waiting for a processor.
"""

from __future__ import annotations

import asyncio
import functools
import json
import sys
from collections.abc import Sequence
from pathlib import Path

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_MODELS = json.dumps({"object": "list", "data": [{"id": "paced", "object": "model"}]}).encode()
_LOOK_UP = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


class _Paced(asyncio.Protocol):
    def __init__(self, answer: Path, seconds: float) -> None:
        self._answer = answer
        self._chunks: Sequence[bytes] = ()
        self._seconds = seconds
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        length = next(
            (
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            ),
            0,
        )
        if len(body) < length:
            return
        self._buffer = body[length:]
        if head.startswith(b"GET"):
            self._transport.write(_LOOK_UP % (len(_MODELS), _MODELS))
            return
        self._chunks = chunks_in(self._answer)
        self._next(0)

    def _next(self, number: int) -> None:
        if self._transport.is_closing():
            return
        begin = _HEAD if number == 0 else b""
        self._transport.write(begin + self._chunks[number])
        if number + 1 < len(self._chunks):
            loop = asyncio.get_running_loop()
            loop.call_later(self._seconds, self._next, number + 1)


@functools.lru_cache
def chunks_in(file: Path) -> Sequence[bytes]:
    """An answer's events as HTTP chunks; the end of the stream comes with the last event."""
    events = [event + b"\n\n" for event in file.read_bytes().split(b"\n\n") if event]
    if len(events) > 1 and b"[DONE]" in events[-1]:
        events[-2:] = [events[-2] + events[-1]]
    written = [b"%x\r\n%s\r\n" % (len(event), event) for event in events]
    written[-1] += b"0\r\n\r\n"
    return written


async def serve(port: int, answer: Path, seconds: float) -> None:
    """Until cancelled. `answer` is read with the first chat."""
    factory = functools.partial(_Paced, answer, seconds)
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])))

"""One small GET of a llama-server: a new connection each time, bounded, light."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

_MAX_BYTES = 256 * 1024


async def get(
    *,
    host: str,
    port: int,
    path: str,
    seconds: float,
    holds: Callable[[], bool],
    api_key: str | None = None,
) -> tuple[int, str] | None:
    """Status and body; None when nothing answers HTTP there in time. `holds` is whether our server
    has the port: asked before the connection, and again before anything is said on it."""
    if not holds():
        return None
    where = f"[{host}]" if ":" in host else host
    request = f"GET {path} HTTP/1.0\r\nHost: {where}:{port}\r\nConnection: close\r\n"
    if api_key is not None:
        request += f"Authorization: Bearer {api_key}\r\n"
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(host, port, limit=_MAX_BYTES)
            if not holds():
                return None
            writer.write(request.encode("ascii") + b"\r\n")
            await writer.drain()
            raw = b""
            while len(raw) < _MAX_BYTES and (part := await reader.read(65_536)):
                raw += part
    except (OSError, TimeoutError):
        return None
    finally:
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    head, _, body = raw.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit():
        return None
    return int(words[1]), body.decode("utf-8", "replace")

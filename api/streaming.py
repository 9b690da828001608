"""Long answers and readers that go away: what stops the work when nobody waits for it any more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, TypeVar

import orjson
import structlog
from fastapi import Request, Response
from starlette.types import Receive, Scope, Send

from api.text import fit

log = structlog.get_logger()
T = TypeVar("T")

_HEARTBEAT = 15.0
_SEND_SECONDS = 60.0
_CLOSE_SECONDS = 10.0
STOPPED = "triaged stopped in the middle of the answer; ask again."


class ClientGoneError(Exception):
    """Nobody waits for the answer any more."""


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the client goes away before it is there.

    The request's body must have been read. Raises `ClientGoneError`, and whatever `work` raises.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request.receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientGoneError
    finally:
        await _end(task, gone)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(*tasks: asyncio.Future[Any]) -> None:
    """Cancels what is not done and waits until it is."""
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running, timeout=_CLOSE_SECONDS)
    for task in tasks:
        if not task.done():
            log.error("work did not stop when it was cancelled", task=str(task))
        elif not task.cancelled() and (error := task.exception()) is not None and task in running:
            log.info("work that was cancelled ended with an error", error=str(error))


class EventStream(Response):
    """Server-sent events from a generator of frames.

    The generator is closed, always and at once, when the client goes away, when `until` is set
    (the daemon stops), and when the client does not read for a minute. A comment line every
    fifteen seconds without a frame keeps proxies from cutting the connection; every client of
    server-sent events ignores it.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        frames: AsyncGenerator[bytes, None],
        *,
        until: asyncio.Event | None = None,
        heartbeat: float = _HEARTBEAT,
        send_seconds: float = _SEND_SECONDS,
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._frames = frames
        self._until = until
        self._heartbeat = heartbeat
        self._send_seconds = send_seconds
        self.open = False
        """Whether the stream was begun and not ended: something can still be said in it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        tasks: list[asyncio.Task[None]] = []
        loop = asyncio.get_running_loop()
        last = loop.time()

        async def put(body: bytes, *, more: bool = True) -> None:
            nonlocal last
            self.open = more
            async with asyncio.timeout(self._send_seconds):
                await send({"type": "http.response.body", "body": body, "more_body": more})
            last = loop.time()

        async def frames() -> None:
            async for frame in self._frames:
                await put(frame)

        async def heartbeats() -> None:
            while True:
                await asyncio.sleep(max(0.05, last + self._heartbeat - loop.time()))
                if loop.time() - last >= self._heartbeat:
                    await put(b": waiting\n\n")

        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            self.open = True
            sender = asyncio.create_task(frames(), name="stream-frames")
            tasks = [
                sender,
                asyncio.create_task(_disconnected(receive), name="stream-disconnect"),
                asyncio.create_task(heartbeats(), name="stream-heartbeat"),
            ]
            if self._until is not None:
                tasks.append(asyncio.create_task(_set(self._until), name="stream-until"))
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if sender.done():
                sender.result()
            await _end(*tasks)
            with contextlib.suppress(TimeoutError):
                await put(b"", more=False)
        except TimeoutError:
            log.info("stream ended", why="the client does not read")
        finally:
            await _end(*tasks)
            await self._frames.aclose()


async def _set(event: asyncio.Event) -> None:
    await event.wait()


def frame(payload: object) -> bytes:
    """One server-sent event with a JSON payload."""
    return b"data: " + encoded(payload) + b"\n\n"


def encoded(payload: object) -> bytes:
    """A payload as JSON, whatever text stands in it."""
    try:
        return orjson.dumps(payload)
    except TypeError:  # half a surrogate pair, which no encoder takes
        return orjson.dumps(_fitted(payload))


def _fitted(value: Any) -> Any:
    if isinstance(value, str):
        return fit(value)
    if isinstance(value, dict):
        return {fit(str(key)): _fitted(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_fitted(entry) for entry in value]
    return value

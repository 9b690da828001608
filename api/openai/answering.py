"""One answer in progress: the agent runs in a task of its own, and readers may go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import structlog

from tiers.chat_contracts import AgentEvent

log = structlog.get_logger()

_AHEAD = 64
_CLOSE_SECONDS = 10.0


class Answering:
    """Reads an agent's events ahead of whoever sends them, 64 at most.

    The agent's generator is begun, continued and closed by one task, because it may hold timeouts
    and task groups, which belong to the task that entered them. Who makes one of these closes it.
    """

    def __init__(self, events: AsyncIterator[AgentEvent]) -> None:
        self._events = events
        self._queue: asyncio.Queue[AgentEvent | Exception | None] = asyncio.Queue(_AHEAD)
        self._held: list[AgentEvent | None] = []
        self._task = asyncio.create_task(self._pump(), name="answer")

    async def begun(self, *, seconds: float) -> bool:
        """Waits until there is a first event, or for so long; says whether there is one. Raises
        what the agent raised instead of it."""
        if self._held:
            return True
        try:
            async with asyncio.timeout(seconds) as patience:
                self._held.append(await self._next())
        except TimeoutError:
            if not patience.expired():
                raise
            return False
        return True

    async def next(self) -> AgentEvent | None:
        """The next event; None at the end. Raises what the agent raised."""
        return self._held.pop() if self._held else await self._next()

    async def close(self) -> None:
        """Ends the answer, which cancels the model. Harmless when it has ended."""
        if self._task.done():
            return
        self._task.cancel()
        _, late = await asyncio.wait({self._task}, timeout=_CLOSE_SECONDS)
        if late:
            log.error("an answer did not stop when it was cancelled", seconds=_CLOSE_SECONDS)

    async def _next(self) -> AgentEvent | None:
        got = await self._queue.get()
        if isinstance(got, Exception):
            raise got
        return got

    async def _pump(self) -> None:
        try:
            try:
                async for event in self._events:
                    await self._queue.put(event)
            finally:
                closing = getattr(self._events, "aclose", None)
                if closing is not None:
                    await closing()
        except Exception as error:  # noqa: BLE001 - handed to the reader, which raises it
            await self._queue.put(error)
        else:
            await self._queue.put(None)

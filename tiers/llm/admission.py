"""Who may call an endpoint now: as many as it has slots; a bounded queue behind them.

llama-server queues without end and never says that it is full, so the caller has to.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tiers.errors import QueueFullError


class Admission:
    """`slots` calls at once, at most `queue` waiting, first come first served."""

    def __init__(self, *, name: str, slots: int, queue: int) -> None:
        self._name = name
        self._slots = slots
        self._queue = queue
        self._semaphore = asyncio.Semaphore(slots)
        self.waiting = 0
        self.running = 0
        self.turned_away = 0

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Holds a slot for the block. Raises `QueueFullError` when too many wait already;
        the caller bounds the time."""
        if self.waiting >= self._queue and self._semaphore.locked():
            self.turned_away += 1
            raise QueueFullError(
                f"{self._name}: {self.running} calls run and {self.waiting} wait already; "
                "try again later, or raise `parallel` or `queue` of this tier",
                retry_after=5.0,
            )
        self.waiting += 1
        try:
            await self._semaphore.acquire()
        finally:
            self.waiting -= 1
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self._semaphore.release()

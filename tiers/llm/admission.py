"""Who may call an endpoint now: as many as it has slots; a bounded queue behind them.

llama-server queues without end and never says that it is full, so the caller has to.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
from collections.abc import AsyncIterator

from tiers.errors import QueueFullError


class Admission:
    """`slots` calls at once, at most `queue` waiting, first come first served. `narrow` makes
    fewer slots of them for a while; calls that run are not touched."""

    def __init__(self, *, name: str, slots: int, queue: int) -> None:
        self._name = name
        self._slots = slots
        self._allowed = slots
        self._queue = queue
        self._line: collections.deque[asyncio.Future[None]] = collections.deque()
        self.running = 0
        self.turned_away = 0

    @property
    def waiting(self) -> int:
        """Calls that wait for a slot."""
        return len(self._line)

    def narrow(self, to: int | None) -> None:
        """At most `to` slots from now on, at least one; None for all."""
        self._allowed = self._slots if to is None else max(1, min(to, self._slots))
        self._let_in()

    @contextlib.asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Holds a slot for the block. Raises `QueueFullError` when too many wait already;
        the caller bounds the time."""
        await self._enter()
        try:
            yield
        finally:
            self._leave()

    async def _enter(self) -> None:
        if self.running < self._allowed and not self._line:
            self.running += 1
            return
        if len(self._line) >= self._queue:
            self.turned_away += 1
            raise QueueFullError(
                f"{self._name}: {self.running} calls run and {self.waiting} wait already; "
                "try again later, or raise `parallel` or `queue` of this tier",
                retry_after=5.0,
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()  # its turn had come in the same moment
            elif turn in self._line:  # else it was passed over in the same moment
                self._line.remove(turn)
            raise

    def _leave(self) -> None:
        self.running -= 1
        self._let_in()

    def _let_in(self) -> None:
        while self._line and self.running < self._allowed:
            turn = self._line.popleft()
            if not turn.cancelled():  # who gave up has not run since
                turn.set_result(None)
                self.running += 1

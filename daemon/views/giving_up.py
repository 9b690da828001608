"""Work on the store that nobody waits for longer than it is worth.

A PostgreSQL that neither answers nor breaks the connection off (its disk hangs, it was stopped) is
away like one that is down. Waiting until what was begun there has been cancelled is what must not
be: the driver ends it when the server answers again or the connection breaks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from api.ports import BusyError

T = TypeVar("T")

PATIENCE = 15.0
"""Seconds that a person who asks is kept waiting for the store."""


class GivingUp:
    """Runs work, `seconds` at most. What takes longer is cancelled and left to itself."""

    def __init__(self, *, name: str, seconds: float) -> None:
        """`name` is that of the tasks."""
        self._name = name
        self._seconds = seconds
        self._left: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result. Raises TimeoutError, and what `work` raises."""
        task = asyncio.create_task(work, name=self._name)
        try:
            done, _ = await asyncio.wait({task}, timeout=self._seconds)
            if not done:
                raise TimeoutError
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                self._left.add(task)
                task.add_done_callback(self._ended)

    async def or_busy(self, work: Coroutine[Any, Any, T]) -> T:
        """`run` for who asks over the facade. Raises `BusyError`, and what `work` raises."""
        try:
            return await self.run(work)
        except TimeoutError as error:
            raise BusyError(
                f"PostgreSQL did not answer within {self._seconds:g} s; try again.",
                retry_after=5.0,
            ) from error

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._left.discard(task)
        if not task.cancelled():
            task.exception()  # seen: whoever asked was told already

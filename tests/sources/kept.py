"""An intake for tests of sources that keeps everything."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from daemon.events import Batch, Cursor, Event
from daemon.sources.base import Receipt, Source


class Committed:
    """A receipt of an intake that commits at once."""

    async def committed(self) -> None:
        return


class Keeper:
    """Keeps every batch in order, as intake with a store behind it would."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.cursor: Cursor | None = None

    async def emit(self, batch: Batch) -> Receipt:
        self.batches.append(batch)
        if batch.cursor is not None:
            self.cursor = batch.cursor
        return Committed()

    @property
    def events(self) -> list[Event]:
        return [event for batch in self.batches for event in batch.events]

    @property
    def texts(self) -> list[str]:
        return [event.text for event in self.events]

    @property
    def losses(self) -> dict[str, int]:
        result: dict[str, int] = {}
        for batch in self.batches:
            for loss in batch.losses:
                result[loss.reason] = result.get(loss.reason, 0) + loss.count
        return result

    async def until(self, condition: Callable[[], bool], *, seconds: float = 10.0) -> None:
        """Waits for a condition on what was kept; says what was there when it never comes."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not condition():  # noqa: ASYNC110 -- conditions are on plain data
                    await asyncio.sleep(0.005)
                return
        pytest.fail(f"not reached in {seconds} s; {len(self.texts)} events: {self.texts[-5:]}")

    @contextlib.asynccontextmanager
    async def running(self, source: Source) -> AsyncIterator[asyncio.Task[None]]:
        """The source, run from the cursor that was kept last, until the block ends."""
        task = asyncio.create_task(source.run(cursor=self.cursor, emit=self.emit))
        try:
            yield task
        finally:
            ended = task.done()  # then the test has seen how
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await (asyncio.wait({task}) if ended else task)

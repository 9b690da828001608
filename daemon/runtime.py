"""Start and stop: background tasks with names, a deadline each, and one way down.

Resources are entered into an `AsyncExitStack` in the order in which they are needed; leaving it
stops the newest first. A task that ends by itself with an error takes the daemon down in order.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger()


class Failure:
    """The first error of any background task; the daemon waits for it beside its stop signal."""

    def __init__(self) -> None:
        self._happened = asyncio.Event()
        self.error: BaseException | None = None
        self.where = ""

    def report(self, where: str, error: BaseException) -> None:
        """Keeps the first error and wakes whoever waits."""
        if self.error is None:
            self.error, self.where = error, where
        self._happened.set()

    async def wait(self) -> None:
        """Returns when something failed."""
        await self._happened.wait()


@contextlib.asynccontextmanager
async def background(
    name: str, work: Coroutine[Any, Any, Any], *, failure: Failure, deadline: float = 10.0
) -> AsyncIterator[asyncio.Task[Any]]:
    """Runs `work` beside the block; leaving the block cancels it and waits `deadline` seconds."""

    async def watched() -> None:
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.error("part failed", part=name, exc_info=error)
            failure.report(name, error)

    task = asyncio.create_task(watched(), name=name)
    try:
        yield task
    finally:
        await stop_task(task, deadline=deadline)
        work.close()  # harmless, unless it was stopped before it began


async def stop_task(task: asyncio.Task[Any], *, deadline: float) -> None:
    """Cancels a task and waits for its end; one that outlives its deadline is left and named."""
    if task.done():
        return
    task.cancel()
    _, late = await asyncio.wait({task}, timeout=deadline)
    if late:
        log.error("part did not stop in time", part=task.get_name(), seconds=deadline)


async def within(
    name: str, work: Callable[[], Coroutine[Any, Any, Any]], *, deadline: float
) -> None:
    """Runs one step of stopping with a deadline; its failure does not stop the other steps."""
    try:
        async with asyncio.timeout(deadline):
            await work()
    except TimeoutError:
        log.error("part did not stop in time", part=name, seconds=deadline)
    except Exception as error:  # every other part must still be stopped
        log.error("part failed while stopping", part=name, exc_info=error)

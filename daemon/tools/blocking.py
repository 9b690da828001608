"""Calls that may hang in the kernel (a dead network share), kept apart from everything else."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable
from typing import TypeVar

from daemon.tools.toolbox import ToolError

T = TypeVar("T")

_MOST = 16
_running = threading.BoundedSemaphore(_MOST)


async def apart(function: Callable[[], T]) -> T:
    """What `function` returns or raises, run on a daemon thread of its own.

    asyncio's executor has few threads and is joined at the end of the process: a handful of hung
    calls would stop every other one, and the daemon's end. Raises `ToolError` when sixteen such
    calls run already. Cancelling stops the waiting, not the call.
    """
    if not _running.acquire(blocking=False):
        raise ToolError("Earlier look-ups on this host's filesystems still hang; try again later.")
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(deliver: Callable[[], None]) -> None:
        if not future.cancelled():
            deliver()

    def work() -> None:
        try:
            try:
                result = function()
            finally:
                _running.release()
        except BaseException as error:  # noqa: BLE001 -- handed to the caller, not swallowed
            deliver = functools.partial(future.set_exception, error)
        else:
            deliver = functools.partial(future.set_result, result)
        # A loop that has ended meanwhile has nobody who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, deliver)

    threading.Thread(target=work, name="tool", daemon=True).start()
    return await future

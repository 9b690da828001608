"""Blocking calls on a thread of their own, so that a hung file system hangs nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")
_Job = Callable[[], None]


def _end() -> None:
    """The job after which a thread ends."""


class OneThread:
    """Runs calls one after the other on one daemon thread.

    Unlike asyncio's executor it is never joined: a call that hangs in the kernel (a dead network
    share) keeps neither the other sources nor the end of the process waiting.
    """

    def __init__(self, *, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def call(self, function: Callable[[], _T]) -> _T:
        """The function's result, or what it raised. Cancelling stops the waiting, not the call."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_T] = loop.create_future()

        def settle(deliver: Callable[[], None]) -> None:
            if not future.cancelled():
                deliver()

        def job() -> None:
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001 -- handed to the caller, not swallowed
                deliver = functools.partial(future.set_exception, error)
            else:
                deliver = functools.partial(future.set_result, result)
            # A loop that has ended meanwhile has nobody who waits.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, deliver)

        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._jobs.put(job)
        return await future

    def close(self, last: Callable[[], None] | None = None) -> None:
        """Lets the thread end after the calls it has, then `last`. Waits for nothing."""
        if self._thread is not None:
            if last is not None:
                self._jobs.put(last)
            self._jobs.put(_end)
            self._thread = None
        elif last is not None:
            last()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not _end:
            job()

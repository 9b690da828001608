"""The facade's side: what daemons at the same database say of themselves."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

import structlog

from daemon.apart.wire import Assembler
from daemon.apart.words import Told, read
from daemon.live import LiveHub
from daemon.store.errors import StoreError
from daemon.store.notify import listen
from daemon.store.pool import Database
from daemon.views.reported import Heard

log = structlog.get_logger()

_AGAIN_SECONDS = 1.0
_FORGOTTEN_SECONDS = 600.0
_MOST_DAEMONS = 100


class Hearer:
    """Keeps the last report of each daemon, and hands on what happens there."""

    def __init__(
        self,
        *,
        database: Database,
        live: LiveHub,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._live = live
        self._clock = clock
        self._heard: dict[str, Heard] = {}
        self._assembler = Assembler()
        self._first = asyncio.Event()

    def reports(self) -> Sequence[Heard]:
        """The last of each daemon that was heard within ten minutes, the newest first."""
        now = self._clock()
        kept = [each for each in self._heard.values() if now - each.at < _FORGOTTEN_SECONDS]
        return sorted(kept, key=lambda each: each.at, reverse=True)

    async def first(self, *, seconds: float) -> bool:
        """Waits for a report; whether one came in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._first.wait()
        return self._first.is_set()

    async def run(self) -> None:
        """Listens until cancelled. A store that is away, or refuses us, is tried again."""
        problem = ""
        while True:
            try:
                async for payload in listen(self._database):
                    problem = ""
                    if (word := self._assembler.take(payload)) is not None:
                        self.take(read(word))
            except StoreError as error:
                if not problem:
                    log.warning("the daemon cannot be heard; trying again", why=str(error))
                problem = str(error)
            await asyncio.sleep(_AGAIN_SECONDS)

    def take(self, told: Told | None) -> None:
        """One word; None for one that could not be read."""
        if told is None:
            return
        if told.report is not None:
            self._heard[told.owner] = Heard(at=self._clock(), report=told.report)
            self._first.set()
            while len(self._heard) > _MOST_DAEMONS:
                del self._heard[min(self._heard, key=lambda owner: self._heard[owner].at)]
        for item in told.items:
            self._live.hand_on(item)

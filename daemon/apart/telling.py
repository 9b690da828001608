"""The daemon's side: says how it is every few seconds, and what happens as it happens."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable

import orjson
import structlog

from api.ports import LiveItem
from daemon.apart.wire import TooLongError, pieces
from daemon.apart.words import Told, written
from daemon.live import LiveHub
from daemon.store.errors import StoreError
from daemon.store.notify import notify
from daemon.store.pool import Database
from daemon.views.status import DaemonReport

log = structlog.get_logger()

REPORT_SECONDS = 5.0
_GATHER_SECONDS = 0.2
_MOST_ITEMS = 200
"""In one word; what is more goes with the next."""


class Teller:
    """Tells facades that run apart. What is said while PostgreSQL is away is lost: reports are said
    again, and a live stream begins with what happens from now on."""

    def __init__(
        self,
        *,
        database: Database,
        owner: str,
        report: Callable[[], DaemonReport],
        live: LiveHub,
        interval: float = REPORT_SECONDS,
    ) -> None:
        """`owner` tells this daemon from every other at the database."""
        self._database = database
        self._owner = owner
        self._report = report
        self._live = live
        self._interval = interval
        self._numbers = itertools.count()
        self._problem = ""

    async def run(self) -> None:
        """Tells until cancelled."""
        waiting: asyncio.Queue[LiveItem] = asyncio.Queue(_MOST_ITEMS * 5)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reports(), name="tell reports")
            group.create_task(_gather(self._live.follow(), waiting), name="follow what happens")
            group.create_task(self._items(waiting), name="tell what happens")

    async def _reports(self) -> None:
        while True:
            await self._say(Told(owner=self._owner, report=self._report()))
            await asyncio.sleep(self._interval)

    async def _items(self, waiting: asyncio.Queue[LiveItem]) -> None:
        while True:
            items = [await waiting.get()]
            await asyncio.sleep(_GATHER_SECONDS)
            with contextlib.suppress(asyncio.QueueEmpty):
                while len(items) < _MOST_ITEMS:
                    items.append(waiting.get_nowait())
            await self._say(Told(owner=self._owner, items=items))

    async def _say(self, told: Told) -> None:
        """Says a word, or says once why it cannot."""
        try:
            payloads = pieces(written(told), id=f"{self._owner}/{next(self._numbers)}")
            async with self._database.connection() as connection:
                await notify(connection, payloads)
        except (StoreError, TooLongError, orjson.JSONEncodeError) as error:
            if not self._problem:
                log.warning("the API's own process is not told how the daemon is", why=str(error))
            self._problem = str(error)
        else:
            self._problem = ""


async def _gather(items: AsyncIterator[LiveItem], waiting: asyncio.Queue[LiveItem]) -> None:
    """The hub drops, and counts, what waits too long here."""
    async for item in items:
        await waiting.put(item)

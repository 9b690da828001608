"""Keeps in PostgreSQL what keys of the facade use, so that a restart refills no budget."""

from __future__ import annotations

import asyncio
import datetime as dt

import structlog

from api.keys.meter import Meter
from daemon.store import usage
from daemon.store.errors import StoreError, StoreUnavailableError
from daemon.store.pool import Database

log = structlog.get_logger()

_FLUSH_SECONDS = 5.0


class KeptUsage:
    """Takes the meter's counts to the store every few seconds and brings those of other daemons
    that share it.

    While the store is away counting goes on in memory. What a commit of unknown outcome took is
    counted once more: a budget may be used up a little early by that, never late.
    """

    def __init__(self, *, database: Database, meter: Meter) -> None:
        self._database = database
        self._meter = meter
        self._flushing = asyncio.Lock()
        self._pruned: dt.date | None = None

    async def load(self) -> None:
        """What was used before this start. Raises `StoreUnavailableError`."""
        async with self._database.connection() as connection:
            self._meter.learnt(await usage.on_day(connection, self._meter.day()))
            self._meter.note_last_used(await usage.last_used(connection))

    async def run(self) -> None:
        """Keeps it up for ever."""
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Keeps what has not been kept. Never raises what waiting can heal."""
        async with self._flushing:
            taken = self._meter.taken()
            day = self._meter.day()
            if not taken and self._pruned == day:
                return
            try:
                async with self._database.transaction() as connection:
                    await usage.add(connection, taken)
                    if self._pruned != day:
                        await usage.forget(
                            connection, before=day - dt.timedelta(days=usage.KEPT_DAYS)
                        )
                    totals = await usage.on_day(connection, day)
            except BaseException as error:
                self._meter.given_back()
                if not isinstance(error, StoreError):
                    raise
                if not isinstance(error, StoreUnavailableError):  # which the pool tells of
                    log.error("usage of keys could not be kept", problem=str(error))
            else:
                self._pruned = day
                self._meter.learnt(totals)

"""Keeps intake's working copy true: what is stored at start, and what others decide meanwhile."""

from __future__ import annotations

import asyncio

import structlog

from daemon.intake.fold import Fold
from daemon.intake.patterns import PatternTable
from daemon.intake.restore import aliases_of, mute_of, pattern_of, state_of, verdict_of
from daemon.store import mutes, patterns, verdicts
from daemon.store.errors import StoreUnavailableError
from daemon.store.pool import Database

log = structlog.get_logger()


async def load_fold(
    *, database: Database, table: PatternTable, fold: Fold, max_patterns: int
) -> int:
    """Reads patterns, aliases and mutes at start; returns how many patterns there are. What is
    over `max_patterns`, the longest unseen, is left in the store."""
    async with database.connection() as connection:
        rows = await patterns.load_recent(connection, limit=max_patterns)
        aliases = await patterns.load_aliases(connection)
        muted = await mutes.in_force(connection)
    table.load([pattern_of(row) for row in rows], aliases_of(aliases))
    fold.restore(state_of(row) for row in rows)
    fold.set_mutes([mute_of(row) for row in muted])
    return len(rows)


class Refresh:
    """Brings in mutes, and verdicts that other daemons of the same database got."""

    def __init__(
        self, *, database: Database, fold: Fold, changed: asyncio.Event, interval: float = 5.0
    ) -> None:
        """`changed` is set by whoever changes mutes here: then nothing waits for the interval."""
        self._database = database
        self._fold = fold
        self._changed = changed
        self._interval = interval
        self._seen = 0

    async def run(self) -> None:
        """Refreshes until cancelled. The store being away is waited for."""
        while True:
            try:
                await self.look()
            except StoreUnavailableError as error:
                log.debug("refresh waits for the store", why=str(error))
            try:
                async with asyncio.timeout(self._interval):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()

    async def look(self) -> None:
        """One round."""
        async with self._database.connection() as connection:
            muted = await mutes.in_force(connection)
            newest = await verdicts.newest_id(connection)
            changed = (
                await verdicts.changed_patterns(connection, after=self._seen)
                if 0 < self._seen < newest
                else []
            )
            rows = await patterns.get(connection, changed) if changed else []
        self._seen = newest
        self._fold.set_mutes([mute_of(row) for row in muted])
        for row in rows:
            state = self._fold.states.get(row.fingerprint)
            verdict = verdict_of(row)
            if state is None or verdict is None:
                continue
            if state.verdict is None or verdict.verdict_id > state.verdict.verdict_id:
                self._fold.settle(row.fingerprint, verdict)

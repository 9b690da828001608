"""Keeps intake's working copy true: what is stored at start, and what others decide meanwhile."""

from __future__ import annotations

import asyncio
import itertools

import structlog

from daemon.intake.fold import Fold
from daemon.intake.patterns import PatternTable
from daemon.intake.restore import aliases_of, mute_of, pattern_of, state_of, verdict_of
from daemon.intake.state import KnownVerdict
from daemon.store import mutes, patterns, verdicts
from daemon.store.errors import StoreUnavailableError
from daemon.store.patterns import PatternRow
from daemon.store.pool import Database

log = structlog.get_logger()

_OVERLAP = 1_000
"""Numbers are given before the commit: one below the newest may become visible later."""
_MOST_WAITING = 1_000

_RESTORED_SHARE = 0.8
"""Of the patterns that the table holds: the rest is room to learn what is new, also when the store
holds more than fits."""


async def load_fold(
    *, database: Database, table: PatternTable, fold: Fold, max_patterns: int
) -> int:
    """Reads patterns, aliases and mutes at start; returns how many patterns there are. What is
    over four fifths of `max_patterns`, the longest unseen, is left in the store: it is taken up
    again when it is seen again."""
    async with database.connection() as connection:
        rows = await patterns.load_recent(connection, limit=int(max_patterns * _RESTORED_SHARE))
        aliases = await patterns.load_aliases(
            connection, fingerprints=[row.fingerprint for row in rows]
        )
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
        self._missing: set[str] = set()
        self._idle: set[str] = set()
        self._seen: int | None = None

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
        waiting = list(itertools.islice(self._fold.judging(), _MOST_WAITING))
        async with self._database.connection() as connection:
            muted = await mutes.in_force(connection)
            newest = await verdicts.newest_id(connection)
            changed = (
                await verdicts.changed_patterns(connection, after=self._seen - _OVERLAP)
                if self._seen is not None and self._seen < newest
                else []
            )
            rows = await patterns.get(connection, sorted({*changed, *waiting}))
        self._seen = newest
        self._fold.set_mutes([mute_of(row) for row in muted])
        for row in rows:
            self._bring(row)
        # What was asked about in a batch that was never written (another daemon has its source, or
        # PostgreSQL refused it) is asked again when it comes again.
        present = {row.fingerprint for row in rows}
        for fingerprint in waiting:
            if fingerprint in self._missing and fingerprint not in present:
                self._fold.ask_again(fingerprint)
        self._missing = {fingerprint for fingerprint in waiting if fingerprint not in present}

    def _bring(self, row: PatternRow) -> None:
        state = self._fold.states.get(row.fingerprint)
        verdict = verdict_of(row)
        if state is None or verdict is None:
            return
        if state.verdict is None or verdict.verdict_id > state.verdict.verdict_id:
            self._fold.settle(row.fingerprint, verdict)
        elif state.judging and row.judge_reason is None:
            self._settled_elsewhere(row, verdict)

    def _settled_elsewhere(self, row: PatternRow, verdict: KnownVerdict) -> None:
        """We wait for a verdict that nobody is asked for: seen twice, it is no commit under way."""
        if row.fingerprint in self._idle:
            self._idle.discard(row.fingerprint)
            self._fold.settle(row.fingerprint, verdict)
        else:
            self._idle.add(row.fingerprint)

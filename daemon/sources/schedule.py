"""Recurring work, such as the holistic review. Callbacks, not events."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from daemon.sources.when import When

_LOOK_SECONDS = 30.0
"""The longest sleep: a clock that was set, or a host that slept, is noticed within it."""
_RETRY_SECONDS = 300.0

_log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One piece of recurring work. `run` does it; what it raises is logged and tried again after
    a pause. `name` is what its last run is remembered by."""

    name: str
    when: When
    run: Callable[[], Awaitable[None]]


class Schedule:
    """Runs each entry when it is due, at most one run of an entry at a time.

    A run that was missed while the daemon was off is made up for once at the start. The wall
    clock decides, looked at every half minute, so that it may jump: forward makes due what was
    jumped over, once; back makes nothing run twice, and an entry whose last run lies in the future
    is taken as run now.
    """

    def __init__(
        self,
        *,
        entries: Sequence[Entry],
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._entries = tuple(entries)
        self._clock = clock
        self._sleep = sleep
        self._last: dict[str, float] = {}

    def next_due(self) -> dict[str, float | None]:
        """When each entry is due (Unix time); None: never."""
        return {e.name: e.when.due_after(self._last.get(e.name, 0.0)) for e in self._entries}

    async def run(
        self,
        *,
        last_runs: Mapping[str, float],
        ran: Callable[[str, float], Awaitable[None]],
    ) -> None:
        """Until cancelled. `last_runs` maps names to the Unix time from which the next run counts;
        for an entry without one that is now. `ran` remembers it, also where nothing has run yet:
        a daemon that is restarted often would otherwise never come to it."""
        now = self._clock()
        for entry in self._entries:
            if entry.name not in last_runs:
                await ran(entry.name, now)
        self._last = {e.name: min(last_runs.get(e.name, now), now) for e in self._entries}
        async with asyncio.TaskGroup() as group:
            for entry in self._entries:
                group.create_task(self._repeat(entry, ran), name=f"schedule {entry.name}")

    async def _repeat(self, entry: Entry, ran: Callable[[str, float], Awaitable[None]]) -> None:
        failing = False
        while True:
            now = self._clock()
            last = self._last[entry.name]
            if last > now:
                last = self._last[entry.name] = now  # the clock was set back
            due = entry.when.due_after(last)
            if due is None:
                return
            if due > now:
                await self._sleep(min(due - now, _LOOK_SECONDS))
                continue
            try:
                await entry.run()
            except Exception as error:  # noqa: BLE001 -- one job must not end the others
                if not failing:
                    failing = True
                    _log.error("scheduled work failed", job=entry.name, exc_info=error)
                await self._sleep(_RETRY_SECONDS)
                continue
            if failing:
                failing = False
                _log.info("scheduled work recovered", job=entry.name)
            self._last[entry.name] = self._clock()
            await ran(entry.name, self._last[entry.name])

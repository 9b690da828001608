"""The global stop switch: while it is on, nothing is begun. It survives restarts."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from api.ports import BusyError
from daemon.live import LiveHub
from daemon.store import action_past
from daemon.store.action_past import StopRow
from daemon.store.errors import StoreUnavailableError
from daemon.store.pool import Database
from daemon.store.work import run
from tiers.vocabulary import Severity

log = structlog.get_logger()

_PATIENCE = 15.0


class StopSwitch:
    """For people. Whoever calls it has checked who that is."""

    def __init__(self, *, database: Database, live: LiveHub, on_change: Callable[[], None]) -> None:
        self._database = database
        self._live = live
        self._on_change = on_change

    async def stop(self, *, by: str, reason: str) -> StopRow:
        """Nothing is begun any more, by anybody, until somebody resumes; restarts do not change
        that. What has begun is checked to its end."""
        return await self._switch(stopped=True, by=by, reason=reason)

    async def resume(self, *, by: str, reason: str) -> StopRow:
        """Acting goes on as the autonomy level says."""
        return await self._switch(stopped=False, by=by, reason=reason)

    async def stopped(self) -> StopRow | None:
        """The stop that is in force, None while acting is not stopped. Raises
        `StoreUnavailableError`."""
        async with self._database.connection() as connection:
            last = await action_past.last_switch(connection)
        return last if last is not None and last.stopped else None

    async def _switch(self, *, stopped: bool, by: str, reason: str) -> StopRow:
        try:
            row = await run(
                self._database,
                lambda work: action_past.switch(work, stopped=stopped, by=by, reason=reason),
                seconds=_PATIENCE,
            )
        except StoreUnavailableError as error:
            raise BusyError(str(error), retry_after=error.retry_after) from error
        word = "stopped" if stopped else "resumed"
        self._live.publish(
            kind="action", severity=Severity.WARNING, text=f"acting was {word} by {by}: {reason}"
        )
        log.warning("stop switch", acting=word, by=by, reason=reason)
        self._on_change()
        return row

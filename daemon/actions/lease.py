"""An executor's hold on one action: the row as it moved it last, and the heart that keeps it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable

from daemon.store import actions
from daemon.store.actions import ActionRow
from daemon.store.errors import StoreError, StoreUnavailableError
from daemon.store.pool import Database
from daemon.store.work import Work, run

_GIVING_BACK = 2.0
"""Seconds: a stop does not wait for PostgreSQL."""
Commit = Callable[[Work], Awaitable[ActionRow | None]]


class LostLeaseError(Exception):
    """Somebody else works on the action; this executor writes nothing more about it."""


class Lease:
    """Made by a claim. Every step goes through `commit`."""

    def __init__(self, *, database: Database, row: ActionRow, owner: str, seconds: float) -> None:
        self.row = row
        self._database = database
        self._owner = owner
        self._seconds = seconds

    async def commit(self, body: Commit, *, to: str, seconds: float | None = 60.0) -> ActionRow:
        """Commits a step to the state `to`, again while PostgreSQL is away, for `seconds` (None:
        without end). Returns the row as it is now. Raises `LostLeaseError` where it was not this
        executor's step that moved it, and `StoreUnavailableError`."""
        try:
            moved = await run(self._database, body, seconds=seconds)
        except LostLeaseError:
            moved = None  # or it was committed, and tried again because nobody heard of it
        if moved is None:
            moved = await self._mine(to)
        self.row = moved
        return moved

    async def pause(self, *, seconds: float) -> None:
        """Gives the action back, to be taken up again later."""
        await run(self._database, lambda work: actions.pause(work, self.row, seconds=seconds))

    async def give_back(self) -> None:
        """This executor stops: whoever comes next does not wait until the lease runs out."""
        with contextlib.suppress(StoreError):
            body = functools.partial(actions.pause, row=self.row, seconds=0)
            await run(self._database, body, seconds=_GIVING_BACK)

    async def beat(self) -> None:
        """Renews until cancelled. A lease that is lost shows at the next step, by the fence."""
        while True:
            await asyncio.sleep(self._seconds / 3)
            with contextlib.suppress(StoreUnavailableError):
                await run(
                    self._database,
                    lambda work: actions.renew(
                        work, self.row, owner=self._owner, lease_seconds=self._seconds
                    ),
                    seconds=self._seconds / 3,
                )

    async def _mine(self, to: str) -> ActionRow:
        """A commit whose connection broke may have happened: then the row is one step further, in
        the state that was meant, and nobody else could have brought it there."""
        async with self._database.connection() as connection:
            now = await actions.get(connection, self.row.id)
        if now is None or now.state != to or now.fence != self.row.fence + 1:
            raise LostLeaseError
        if now.lease_owner not in (None, self._owner):
            raise LostLeaseError
        return now

"""A transaction that changes state and says so in the ledger.

What is recorded is appended at the very end, just before the commit, because the ledger's lock must
be the last that a transaction takes. Everybody locks in this order: patterns by fingerprint, the
correlation key, incidents by id, the ledger. So transactions never wait for each other in a
circle.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from daemon.ledger import NewEntry
from daemon.store import ledger
from daemon.store.pool import Connection, Database

T = TypeVar("T")


class Work:
    """One transaction. Made by `begin` and `run` only."""

    def __init__(self, *, connection: Connection) -> None:
        self.connection = connection
        self._entries: list[NewEntry] = []

    def record(self, entry: NewEntry) -> None:
        """Will be in the ledger when, and only when, the transaction commits."""
        self._entries.append(entry)

    async def finish(self) -> None:
        """Appends what was recorded. `begin` calls it."""
        await ledger.append(self.connection, self._entries)
        self._entries.clear()


@contextlib.asynccontextmanager
async def begin(database: Database) -> AsyncIterator[Work]:
    """A transaction that commits, with its ledger entries, at the end of the block.

    Raises what `Database.transaction` raises; an exception in the block rolls everything back.
    """
    async with database.transaction() as connection:
        work = Work(connection=connection)
        yield work
        await work.finish()


async def run(
    database: Database, body: Callable[[Work], Awaitable[T]], *, seconds: float | None = 60.0
) -> T:
    """Runs `body` in a transaction, again while PostgreSQL is unavailable, for `seconds`.

    `body` must be idempotent in the database, as compare-and-set is: when the connection breaks
    during the commit, it may run again although it was committed.
    """

    async def attempt(connection: Connection) -> T:
        work = Work(connection=connection)
        result = await body(work)
        await work.finish()
        return result

    return await database.retry(attempt, seconds=seconds)

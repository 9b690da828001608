"""in = stored + folded + dropped, by source, and why what was dropped was dropped."""

from __future__ import annotations

import dataclasses
import datetime as dt

from psycopg.rows import class_row

from daemon.store.pool import Connection

COUNTERS = """
select source, received, stored, folded, dropped from intake_counters order by source
"""
DROPS = "select source, reason, count, last_at from drops order by count desc, source, reason"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SourceCounters:
    """What came from a source since the database exists. The database itself refuses sums that do
    not close."""

    source: str
    received: int
    stored: int
    folded: int
    dropped: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DropCount:
    """How much was dropped for a reason, and when last."""

    source: str
    reason: str
    count: int
    last_at: dt.datetime


async def counters(connection: Connection) -> list[SourceCounters]:
    async with connection.cursor(row_factory=class_row(SourceCounters)) as cursor:
        await cursor.execute(COUNTERS)
        return await cursor.fetchall()


async def drops(connection: Connection) -> list[DropCount]:
    """The most frequent first."""
    async with connection.cursor(row_factory=class_row(DropCount)) as cursor:
        await cursor.execute(DROPS)
        return await cursor.fetchall()

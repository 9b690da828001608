"""Finding patterns by words: what the event query tool reads."""

from __future__ import annotations

import dataclasses
import datetime as dt

from psycopg.rows import class_row

from daemon.store.incident_queries import like
from daemon.store.pool import Connection

SEARCH = """
select unit, pattern, count, last_seen from patterns
where last_seen >= %(since)s
  and (pattern ilike %(words)s or sample ilike %(words)s or unit ilike %(words)s)
order by count desc, fingerprint limit %(limit)s
"""
TOTALS = """
select count(*)::int as patterns, count(*) filter (where judge_reason is not null)::int as to_judge,
       count(verdict_id)::int as judged
from patterns
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PatternHit:
    """A pattern that was found and how often it came since it is known."""

    unit: str
    pattern: str
    count: int
    last_seen: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PatternTotals:
    """How many patterns there are, how many wait for a verdict, and how many have one."""

    patterns: int
    to_judge: int
    judged: int = 0


async def search(
    connection: Connection, *, words: str, since: dt.datetime, limit: int
) -> list[PatternHit]:
    """Patterns seen since a time whose text or unit holds `words`, most frequent first."""
    async with connection.cursor(row_factory=class_row(PatternHit)) as cursor:
        await cursor.execute(SEARCH, {"since": since, "words": like(words), "limit": limit})
        return await cursor.fetchall()


async def totals(connection: Connection) -> PatternTotals:
    async with connection.cursor(row_factory=class_row(PatternTotals)) as cursor:
        await cursor.execute(TOTALS)
        row = await cursor.fetchone()
    return row or PatternTotals(patterns=0, to_judge=0, judged=0)

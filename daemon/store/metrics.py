"""Metric samples: written in bulk, read as a history in buckets."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence

from psycopg.rows import class_row

from daemon.store.pool import Connection
from daemon.store.values import clean

COPY = "copy metrics (at, name, target, value) from stdin"
HISTORY = """
select date_bin(make_interval(secs => %(bucket)s), at, %(since)s) as at, min(value) as lowest,
       avg(value) as average, max(value) as highest,
       (array_agg(value order by at desc))[1] as latest, count(*)::int as samples
from metrics
where name = %(name)s and target = %(target)s and at >= %(since)s and at < %(until)s
group by 1 order by 1
"""
LATEST = """
select distinct on (name, target) name, target, value, at from metrics
where at >= now() - make_interval(secs => %(within)s)
  and (%(name)s::text is null or name = %(name)s)
order by name, target, at desc limit %(limit)s
"""
_MOST_BUCKETS = 1_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One measurement. `target` says of what ("/var", "sda"), "" for the host."""

    at: dt.datetime
    name: str
    target: str
    value: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """What was measured from `at` on, for the length of a bucket."""

    at: dt.datetime
    lowest: float
    average: float
    highest: float
    latest: float
    samples: int


async def record(connection: Connection, samples: Sequence[Sample]) -> None:
    """Writes samples."""
    if not samples:
        return
    async with connection.cursor() as cursor, cursor.copy(COPY) as copy:
        for sample in samples:
            await copy.write_row(
                (sample.at, clean(sample.name), clean(sample.target), sample.value)
            )


async def history(
    connection: Connection,
    *,
    name: str,
    target: str = "",
    since: dt.datetime,
    until: dt.datetime,
    buckets: int = 60,
) -> list[Bucket]:
    """At most `buckets` buckets of equal length, oldest first; empty ones are left out."""
    wanted = max(1, min(buckets, _MOST_BUCKETS))
    seconds = max(1.0, (until - since).total_seconds() / wanted)
    async with connection.cursor(row_factory=class_row(Bucket)) as cursor:
        await cursor.execute(
            HISTORY,
            {"bucket": seconds, "name": name, "target": target, "since": since, "until": until},
        )
        return await cursor.fetchall()


async def latest(
    connection: Connection,
    *,
    name: str | None = None,
    within_seconds: float = 600,
    limit: int = 1_000,
) -> list[Sample]:
    """The newest sample of each metric and target that is not too old."""
    async with connection.cursor(row_factory=class_row(Sample)) as cursor:
        await cursor.execute(LATEST, {"within": within_seconds, "name": name, "limit": limit})
        return await cursor.fetchall()

"""Reading events that were kept whole. They are written by `writer` only."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Any

from psycopg.rows import class_row

from daemon.store.incident_queries import like
from daemon.store.pool import Connection

# The time bounds come first: they prune partitions, so that ILIKE reads a bounded part.
QUERY = """
select id, observed_at, occurred_at, source, source_kind, unit, provenance, fingerprint, priority,
       text, attributes
from events
where observed_at >= %(since)s and observed_at < %(until)s
  and (%(unit)s::text is null or unit = %(unit)s)
  and (%(source)s::text is null or source = %(source)s)
  and (%(fingerprint)s::text is null or fingerprint = %(fingerprint)s)
  and (%(priority)s::int is null or priority <= %(priority)s)
  and (%(contains)s::text is null or text ilike %(contains)s)
order by observed_at desc, id desc limit %(limit)s
"""
# "host/source": patterns carry no host, their events do.
NEWEST_SOURCES = """
select f.fingerprint, e.source from unnest(%s::text[]) as f (fingerprint)
cross join lateral (select source from events where fingerprint = f.fingerprint
                    order by observed_at desc, id desc limit 1) as e
"""
NEWEST_TEXTS = """
select occurred_at, text from events where fingerprint = %s
order by observed_at desc, id desc limit %s
"""
_SLOWEST = "5s"
"""A search gives up after this; the caller is told to narrow it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """An event that was kept. `observed_at` is the store's clock, `occurred_at` the source's."""

    id: int
    observed_at: dt.datetime
    occurred_at: dt.datetime
    source: str
    source_kind: str
    unit: str
    provenance: str
    fingerprint: str
    priority: int | None
    text: str
    attributes: dict[str, Any] | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events. Times bound `observed_at`; `priority` is the least urgent that is shown."""

    since: dt.datetime
    until: dt.datetime
    contains: str | None = None
    unit: str | None = None
    source: str | None = None
    fingerprint: str | None = None
    priority: int | None = None


async def query(connection: Connection, wanted: EventFilter, *, limit: int = 100) -> list[EventRow]:
    """Newest first. Raises `StoreUnavailableError` when the search takes too long."""
    async with (
        connection.transaction(),
        connection.cursor(row_factory=class_row(EventRow)) as cursor,
    ):
        await cursor.execute("select set_config('statement_timeout', %s, true)", (_SLOWEST,))
        await cursor.execute(
            QUERY,
            {
                "since": wanted.since,
                "until": wanted.until,
                "contains": None if wanted.contains is None else like(wanted.contains),
                "unit": wanted.unit,
                "source": wanted.source,
                "fingerprint": wanted.fingerprint,
                "priority": wanted.priority,
                "limit": max(1, min(limit, 1_000)),
            },
        )
        return await cursor.fetchall()


async def newest_sources(connection: Connection, fingerprints: Sequence[str]) -> dict[str, str]:
    """The source of each pattern's newest kept event, as it is stored: "host/name"."""
    cursor = await connection.execute(NEWEST_SOURCES, (list(fingerprints),))
    return {str(fingerprint): str(source) for fingerprint, source in await cursor.fetchall()}


async def newest_texts(
    connection: Connection, fingerprint: str, *, limit: int
) -> list[tuple[dt.datetime, str]]:
    """When and what: the pattern's kept events, newest first."""
    cursor = await connection.execute(NEWEST_TEXTS, (fingerprint, limit))
    return [(at, str(text)) for at, text in await cursor.fetchall()]

"""Reading incidents: one, many, and all that belongs to one."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence

from psycopg.rows import class_row, dict_row

from daemon.store.incidents import Incident, incident_of
from daemon.store.pool import Connection
from daemon.store.values import clean
from tiers.vocabulary import Category, Severity

GET = "select * from incidents where id = %s"
LIST = """
select * from incidents
where (%(states)s::text[] is null or state = any(%(states)s))
  and (%(severities)s::text[] is null or severity = any(%(severities)s))
  and (%(categories)s::text[] is null or category = any(%(categories)s))
  and (%(unit)s::text is null or unit = %(unit)s)
  and (%(parent)s::bigint is null or parent_id = %(parent)s)
  and (%(contains)s::text[] is null
       or concat_ws(' ', title, unit, category) ilike all (%(contains)s)
       or exists (select from evidence e where e.incident_id = incidents.id
                  and e.text ilike all (%(contains)s)))
  and (%(since)s::timestamptz is null or updated_at >= %(since)s)
  and (%(before)s::bigint is null or id < %(before)s)
order by id desc limit %(limit)s
"""
COUNTS = "select state, severity, count(*) as count from incidents group by state, severity"
PATTERNS = """
select ip.fingerprint, p.pattern, p.unit, p.sample, p.provenance, p.source_kind, p.usual_gap,
       p.last_seen, ip.count, ip.first_at, ip.last_at, ip.top_values, ip.recent_count,
       ip.recent_values, ip.answered_values
from incident_patterns ip join patterns p using (fingerprint)
where ip.incident_id = %s order by ip.count desc, ip.fingerprint
"""
EVIDENCE = """
select ref, provenance, source, text, at, count, fingerprint from evidence
where incident_id = %s order by substr(ref, 2)::int
"""
LIVE = "select 1 from incidents where correlation = %s and state <> 'closed'"
HAS_PATTERN = "select 1 from incident_patterns where incident_id = %s and fingerprint = %s"
OF_PATTERN = """
select i.* from incidents i join incident_patterns p on p.incident_id = i.id
where p.fingerprint = %s order by i.id desc limit %s
"""


_MOST_WORDS = 12


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFilter:
    """What a listing shows; None is everything. `before` (an id) pages on. Every word of `contains`
    must be in title, unit and category, or in one piece of evidence."""

    states: Sequence[str] | None = None
    severities: Sequence[Severity] | None = None
    categories: Sequence[Category] | None = None
    unit: str | None = None
    parent: int | None = None
    contains: str | None = None
    since: dt.datetime | None = None
    before: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IncidentPattern:
    """A pattern of an incident, and what it counts there. Values are rows of (what, value, count):
    `top_values` of the whole incident; `recent_values`, of `recent_count` occurrences, since it was
    opened, came back, or was settled by an answer; `answered_values` what that answer rested on."""

    fingerprint: str
    pattern: str
    unit: str
    sample: str
    provenance: str
    source_kind: str
    usual_gap: float | None
    last_seen: dt.datetime
    count: int
    first_at: dt.datetime
    last_at: dt.datetime
    top_values: list[list[str | int]]
    recent_count: int = 0
    recent_values: list[list[str | int]] = dataclasses.field(default_factory=list)
    answered_values: list[list[str | int]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRow:
    """A piece of evidence of an incident."""

    ref: str
    provenance: str
    source: str
    text: str
    at: dt.datetime
    count: int
    fingerprint: str | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IncidentCount:
    state: str
    severity: str
    count: int


async def get(connection: Connection, incident_id: int) -> Incident | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(GET, (incident_id,))
        row = await cursor.fetchone()
    return None if row is None else incident_of(row)


async def listing(
    connection: Connection, shown: IncidentFilter | None = None, *, limit: int = 50
) -> list[Incident]:
    """Newest first."""
    wanted = shown or IncidentFilter()
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            LIST,
            {
                "states": _strings(wanted.states),
                "severities": _strings(wanted.severities),
                "categories": _strings(wanted.categories),
                "unit": wanted.unit,
                "parent": wanted.parent,
                "contains": None
                if wanted.contains is None
                else [like(word) for word in wanted.contains.split()[:_MOST_WORDS]],
                "since": wanted.since,
                "before": wanted.before,
                "limit": limit,
            },
        )
        return [incident_of(row) for row in await cursor.fetchall()]


async def counts(connection: Connection) -> list[IncidentCount]:
    """How many incidents are in each state, by severity."""
    async with connection.cursor(row_factory=class_row(IncidentCount)) as cursor:
        await cursor.execute(COUNTS)
        return await cursor.fetchall()


async def is_live(connection: Connection, correlation: str) -> bool:
    """Whether an incident with this key is not over."""
    return await (await connection.execute(LIVE, (clean(correlation),))).fetchone() is not None


async def has_pattern(connection: Connection, incident_id: int, fingerprint: str) -> bool:
    """Whether an incident counts this pattern already."""
    cursor = await connection.execute(HAS_PATTERN, (incident_id, fingerprint))
    return await cursor.fetchone() is not None


async def patterns_of(connection: Connection, incident_id: int) -> list[IncidentPattern]:
    """Most frequent first."""
    async with connection.cursor(row_factory=class_row(IncidentPattern)) as cursor:
        await cursor.execute(PATTERNS, (incident_id,))
        return await cursor.fetchall()


async def evidence_of(connection: Connection, incident_id: int) -> list[EvidenceRow]:
    """In order of arrival."""
    async with connection.cursor(row_factory=class_row(EvidenceRow)) as cursor:
        await cursor.execute(EVIDENCE, (incident_id,))
        return await cursor.fetchall()


async def of_pattern(
    connection: Connection, fingerprint: str, *, limit: int = 20
) -> list[Incident]:
    """Incidents that a pattern belongs to, newest first."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(OF_PATTERN, (fingerprint, limit))
        return [incident_of(row) for row in await cursor.fetchall()]


def like(words: str) -> str:
    """An ILIKE pattern that finds `words` as they are anywhere in a text."""
    escaped = words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped.replace(chr(0), '')}%"


def _strings(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else [str(value) for value in values]

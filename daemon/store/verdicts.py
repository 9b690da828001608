"""Reading verdicts. They are written by `patterns.record_verdict`."""

from __future__ import annotations

import dataclasses
import datetime as dt

from psycopg.rows import class_row

from daemon.store.pool import Connection

OF_INCIDENT = """
select v.*, p.pattern from incident_patterns ip
join patterns p using (fingerprint) join verdicts v on v.id = p.verdict_id
where ip.incident_id = %s order by v.id
"""
OF_PATTERN = """
select v.*, p.pattern from verdicts v join patterns p using (fingerprint)
where v.fingerprint = %s order by v.id desc limit %s
"""
NEWEST = "select coalesce(max(id), 0) from verdicts"
CHANGED = "select distinct fingerprint from verdicts where id > %s limit 5000"
CALLS_SINCE = """
select count(*)::int from verdicts where at >= %s and model <> 'rule'
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRow:
    """A row of `verdicts` with its pattern. `model` is "rule" where no model was asked."""

    id: int
    fingerprint: str
    reason: str
    escalate: bool
    probability: float
    severity: str
    category: str
    urgency: str
    model: str
    endpoint: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    at: dt.datetime
    pattern: str


async def of_incident(connection: Connection, incident_id: int) -> list[VerdictRow]:
    """The verdicts in force on an incident's patterns, oldest first."""
    async with connection.cursor(row_factory=class_row(VerdictRow)) as cursor:
        await cursor.execute(OF_INCIDENT, (incident_id,))
        return await cursor.fetchall()


async def of_pattern(
    connection: Connection, fingerprint: str, *, limit: int = 20
) -> list[VerdictRow]:
    """A pattern's verdicts, newest first."""
    async with connection.cursor(row_factory=class_row(VerdictRow)) as cursor:
        await cursor.execute(OF_PATTERN, (fingerprint, limit))
        return await cursor.fetchall()


async def calls_since(connection: Connection, since: dt.datetime) -> int:
    """How many verdicts a model gave."""
    row = await (await connection.execute(CALLS_SINCE, (since,))).fetchone()
    return int(row[0]) if row else 0


async def newest_id(connection: Connection) -> int:
    """The number of the newest verdict, 0 when there is none."""
    row = await (await connection.execute(NEWEST)).fetchone()
    return int(row[0]) if row else 0


async def changed_patterns(connection: Connection, *, after: int) -> list[str]:
    """Fingerprints that got a verdict with a number above `after`."""
    rows = await (await connection.execute(CHANGED, (after,))).fetchall()
    return [row[0] for row in rows]

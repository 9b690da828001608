"""Patterns: read at the start, handed out to be judged, and given their verdict."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from psycopg.rows import class_row

from daemon.ledger import NewEntry
from daemon.store.pool import Connection, Database
from daemon.store.values import clean
from daemon.store.work import Work
from tiers.contracts import Verdict
from tiers.vocabulary import Severity

COLUMNS = """
p.fingerprint, p.source_kind, p.unit, p.pattern, p.sample, p.provenance, p.count, p.first_seen,
p.last_seen, p.rate, p.rate_at, p.usual_gap, p.burst, p.judged_burst, p.top_values, p.unattached,
p.floor, p.rule, p.correlation, p.judge_reason, p.verdict_id, v.escalate, v.severity, v.category,
v.at as judged_at
"""
FROM = "from patterns p left join verdicts v on v.id = p.verdict_id"
LOAD_PAGE = f"""
select {COLUMNS} {FROM}
where p.fingerprint > %s order by p.fingerprint limit %s
"""
LOAD_RECENT = f"select {COLUMNS} {FROM} order by p.last_seen desc limit %s"
GET = f"select {COLUMNS} {FROM} where p.fingerprint = any(%s::text[])"
ALIASES = """
select source_kind, unit, masked, fingerprint from pattern_aliases
where fingerprint = any(%s::text[])
"""
# A claim needs no disk: one that a crash of PostgreSQL takes back is held by nobody, and its
# verdict, if it comes all the same, is refused (`HOLD`). The pattern is judged again.
CLAIM_TO_JUDGE = f"""
with quickly as materialized (
  select set_config('synchronous_commit', 'off', true)
), picked as (
  select fingerprint from patterns, quickly
  where judge_reason is not null and (judge_until is null or judge_until < now())
  order by array_position(array['critical','warning','notice','info'], floor), last_seen
  limit %(limit)s for update of patterns skip locked
), claimed as (
  update patterns p set judge_owner = %(owner)s,
    judge_until = now() + make_interval(secs => %(seconds)s)
  from picked where p.fingerprint = picked.fingerprint
  returning p.*
)
select {COLUMNS} from claimed p left join verdicts v on v.id = p.verdict_id
"""  # noqa: S608
RELEASE = """
update patterns set judge_owner = null, judge_until = now() + make_interval(secs => %s)
where fingerprint = %s and judge_owner = %s
"""
ASK_AGAIN = """
update patterns set judge_reason = coalesce(judge_reason, %s)
where fingerprint = any(array(
  select fingerprint from patterns where fingerprint = any(%s::text[]) order by fingerprint
  for update))
"""
LOCK = "select fingerprint from patterns where fingerprint = %s for update"
HOLD = """
select floor from patterns where fingerprint = %s and judge_owner = %s for update
"""
ASK_LATER = """
update patterns set judge_reason = %s, judge_owner = null,
  judge_until = now() + make_interval(secs => %s)
where fingerprint = %s
"""
INSERT_VERDICT = """
insert into verdicts (fingerprint, reason, escalate, probability, severity, category, urgency,
                      model, endpoint, prompt_tokens, completion_tokens, seconds)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
returning id
"""
# A pattern and at most a handful of its events: each day's index is looked into once.
NEWEST_EVENTS = "select id from events where fingerprint = %s order by observed_at desc limit %s"
PUT_IN_FORCE = """
update patterns set verdict_id = %s, judge_reason = null, judge_owner = null, judge_until = null,
  judged_burst = %s, burst = 0, correlation = coalesce(%s, correlation)
where fingerprint = %s
"""
TO_ATTACH = f"""
select {COLUMNS} {FROM}
where p.unattached > 0 and p.verdict_id is not null
  and (v.escalate or p.floor in ('warning','critical'))
order by p.last_seen limit %s
"""
TAKE_UNATTACHED = """
with locked as (
  select fingerprint, unattached, unattached_values from patterns
  where fingerprint = any(%s::text[]) and unattached > 0 order by fingerprint for update
)
update patterns p set unattached = 0, unattached_values = '[]'
from locked l where p.fingerprint = l.fingerprint
returning p.fingerprint, l.unattached, l.unattached_values
"""
SETTLE_QUIET = """
update patterns set unattached = 0, unattached_values = '[]' where fingerprint = any(array(
  select p.fingerprint from patterns p join verdicts v on v.id = p.verdict_id
  where p.unattached > 0 and not v.escalate and p.judge_reason is null
    and p.floor not in ('warning','critical')
  order by p.fingerprint limit %s
  for update of p skip locked))
"""
_PAGE = 2_000
_MOST_CITED = 5
"""Events that a verdict's entry in the ledger names."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PatternRow:
    """A pattern with the verdict in force; the last four are None when there is none.

    `rate` is in events per minute, `usual_gap` in seconds, `top_values` are (what, value, count).
    """

    fingerprint: str
    source_kind: str
    unit: str
    pattern: str
    sample: str
    provenance: str
    count: int
    first_seen: dt.datetime
    last_seen: dt.datetime
    rate: float
    rate_at: dt.datetime
    usual_gap: float | None
    burst: int
    judged_burst: int
    top_values: list[list[str | int]]
    unattached: int
    floor: str
    rule: str | None
    correlation: str | None
    judge_reason: str | None
    verdict_id: int | None
    escalate: bool | None
    severity: str | None
    category: str | None
    judged_at: dt.datetime | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Occurrences that no incident counted yet. `values` are (what, value, count) as batches
    brought them: the same value may come more than once."""

    count: int
    values: tuple[tuple[str, str, int], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AliasRow:
    """A masked text that stands for the pattern `fingerprint`."""

    source_kind: str
    unit: str
    masked: str
    fingerprint: str


async def load(database: Database) -> AsyncIterator[PatternRow]:
    """Every pattern, page by page, for the start."""
    after = ""
    while True:
        async with database.connection() as connection:
            page = await _rows(connection, LOAD_PAGE, (after, _PAGE))
        for row in page:
            yield row
        if len(page) < _PAGE:
            return
        after = page[-1].fingerprint


async def load_recent(connection: Connection, *, limit: int) -> list[PatternRow]:
    """The patterns that were seen last, newest first: what fits a bounded table."""
    return await _rows(connection, LOAD_RECENT, (limit,))


async def load_aliases(connection: Connection, *, fingerprints: Sequence[str]) -> list[AliasRow]:
    """The aliases of these patterns."""
    async with connection.cursor(row_factory=class_row(AliasRow)) as cursor:
        await cursor.execute(ALIASES, (list(fingerprints),))
        return await cursor.fetchall()


async def get(connection: Connection, fingerprints: Sequence[str]) -> list[PatternRow]:
    return await _rows(connection, GET, (list(fingerprints),))


async def claim_to_judge(
    connection: Connection, *, owner: str, limit: int, lease_seconds: float
) -> list[PatternRow]:
    """Takes patterns that need a verdict, those with the highest floor first, then the oldest.

    Nobody else gets them for `lease_seconds`. End each with `record_verdict` or `release`. Not in a
    transaction with anything else: it would be durable only a moment after its commit.
    """
    return await _rows(
        connection, CLAIM_TO_JUDGE, {"owner": owner, "seconds": lease_seconds, "limit": limit}
    )


async def release(
    connection: Connection, *, fingerprint: str, owner: str, pause_seconds: float
) -> None:
    """Gives a claimed pattern back, for others to take after a pause."""
    await connection.execute(RELEASE, (pause_seconds, fingerprint, owner))


async def ask_again(connection: Connection, *, fingerprints: Sequence[str], reason: str) -> int:
    """Asks for a new verdict, unless one is asked for already. Returns how many patterns."""
    return (await connection.execute(ASK_AGAIN, (reason, list(fingerprints)))).rowcount


async def hold(work: Work, *, fingerprint: str, owner: str) -> Severity | None:
    """Locks a pattern that `owner` claimed; its floor as it is now. None when the claim is lost:
    it ran out and somebody else judges, or the pattern has its verdict already."""
    row = await (await work.connection.execute(HOLD, (fingerprint, owner))).fetchone()
    return None if row is None else Severity(row[0])


async def ask_later(work: Work, *, fingerprint: str, reason: str, pause_seconds: float) -> None:
    """Asks for another verdict, by whoever is there after a pause."""
    await work.connection.execute(ASK_LATER, (reason, pause_seconds, fingerprint))


async def record_verdict(
    work: Work, *, verdict: Verdict, reason: str, burst: int, correlation: str | None
) -> int | None:
    """Puts a verdict in force and records it. Returns its id, None when the pattern is gone.

    `reason` is why it was asked for, `burst` the pattern's when it was. What is unattached stays
    so: this transaction takes it (`take_unattached`) and counts it, or decides it is nothing.
    """
    connection = work.connection
    fingerprint = verdict.fingerprint
    if await (await connection.execute(LOCK, (fingerprint,))).fetchone() is None:
        return None
    usage = verdict.usage
    row = await (
        await connection.execute(
            INSERT_VERDICT,
            (
                fingerprint,
                reason,
                verdict.escalate,
                verdict.probability,
                verdict.severity.value,
                verdict.category.value,
                verdict.urgency.value,
                usage.model,
                usage.endpoint,
                usage.prompt_tokens,
                usage.completion_tokens,
                usage.seconds,
            ),
        )
    ).fetchone()
    assert row is not None  # noqa: S101
    verdict_id: int = row[0]
    await connection.execute(
        PUT_IN_FORCE,
        (verdict_id, burst, None if correlation is None else clean(correlation), fingerprint),
    )
    seen = await connection.execute(NEWEST_EVENTS, (fingerprint, _MOST_CITED))
    work.record(
        NewEntry(
            kind="verdict",
            actor="rule" if usage.model == "rule" else "tier/trigger",
            body={
                "verdict": verdict_id,
                "fingerprint": fingerprint,
                "reason": reason,
                "escalate": verdict.escalate,
                "probability": verdict.probability,
                "severity": verdict.severity.value,
                "category": verdict.category.value,
                "urgency": verdict.urgency.value,
                "model": usage.model,
                "endpoint": usage.endpoint,
                "events": [event[0] for event in await seen.fetchall()],
            },
        )
    )
    return verdict_id


async def to_attach(connection: Connection, *, limit: int) -> list[PatternRow]:
    """Patterns with occurrences that no incident counts yet and that belong on one, by verdict or
    by what a rule says; oldest first."""
    return await _rows(connection, TO_ATTACH, (limit,))


async def take_unattached(work: Work, *, fingerprints: Sequence[str]) -> dict[str, int]:
    """What was not attached yet, by fingerprint; this transaction takes it and has to count it."""
    cursor = await work.connection.execute(TAKE_UNATTACHED, (list(fingerprints),))
    return {fingerprint: count for fingerprint, count, _ in await cursor.fetchall()}


async def take_to_attach(work: Work, fingerprint: str) -> Taken | None:
    """As above, of one pattern, with whom the occurrences name. None: nothing was to be taken."""
    cursor = await work.connection.execute(TAKE_UNATTACHED, ([fingerprint],))
    row = await cursor.fetchone()
    if row is None:
        return None
    return Taken(count=row[1], values=tuple((str(k), str(v), int(n)) for k, v, n in row[2]))


async def settle_quiet(connection: Connection, *, limit: int = 1_000) -> int:
    """Occurrences of patterns that are not escalated belong to no incident; those of a pattern that
    is to be judged again wait for that. Returns how many patterns were settled."""
    return (await connection.execute(SETTLE_QUIET, (limit,))).rowcount


async def _rows(
    connection: Connection, statement: str, values: Sequence[Any] | Mapping[str, Any]
) -> list[PatternRow]:
    async with connection.cursor(row_factory=class_row(PatternRow)) as cursor:
        await cursor.execute(statement, values)
        return await cursor.fetchall()

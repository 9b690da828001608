"""Incidents: opened or joined, fed, and read. Their states change in `transitions` and `leases`."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.rows import DictRow, dict_row

from daemon.ledger import NewEntry
from daemon.store.pool import Connection
from daemon.store.values import clean, to_json
from daemon.store.work import Work
from tiers.vocabulary import Category, Severity

RANK = "array_position(array['info','notice','warning','critical'], {})"
SEVERITY_RANK = RANK.format("severity")

# One at a time for each key, whether an incident is there to be locked or not.
LOCK_KEY = "select pg_advisory_xact_lock(%s, hashtext(%s))"
_KEY_SPACE = 0x7472_6961
FIND_LIVE = "select * from incidents where correlation = %s and state <> 'closed' for update"
FIND_CLOSED = """
select * from incidents
where correlation = %s and state = 'closed' and closed_at > now() - make_interval(secs => %s)
order by closed_at desc limit 1 for update
"""
# State: none -> open.
INSERT = """
insert into incidents
  (state, severity, category, title, unit, correlation, parent_id, opened_at, last_event_at,
   condition, holistic)
values ('open', %s, %s, %s, %s, %s, %s, %s, %s, %s::jsonb, %s)
returning *
"""
# State: closed -> open (returned).
REOPEN = """
update incidents set
  state = 'open', fence = fence + 1, reopened = reopened + 1, closed_at = null,
  close_reason = null, attempts = 0, next_at = now(), deadline = null, updated_at = now(),
  severity = %s, last_event_at = greatest(last_event_at, %s), condition = %s::jsonb, title = %s
where id = %s returning *
"""
FORGET_RECENT = """
update incident_patterns set recent_count = 0, recent_values = '[]', answered_values = '[]'
where incident_id = %s
"""
# State: stays. A severity only rises here.
JOIN = f"""
update incidents set
  updated_at = now(), last_event_at = greatest(last_event_at, %s),
  severity = case when {RANK.format("%s::text")} > {SEVERITY_RANK} then %s else severity end
where id = %s returning *
"""  # noqa: S608 (constants)

ADD_PATTERNS = """
insert into incident_patterns as p
  (incident_id, fingerprint, count, first_at, last_at, top_values, recent_count, recent_values)
select %s, fingerprint, count, first_at, last_at, top_values::jsonb, count, recent_values::jsonb
from unnest(%s::text[], %s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::text[], %s::text[])
  as t (fingerprint, count, first_at, last_at, top_values, recent_values)
order by fingerprint
on conflict (incident_id, fingerprint) do update set
  count = p.count + excluded.count, first_at = least(p.first_at, excluded.first_at),
  last_at = greatest(p.last_at, excluded.last_at),
  top_values = case when excluded.top_values = '[]' then p.top_values else excluded.top_values end,
  recent_count = p.recent_count + excluded.count,
  recent_values = case when excluded.recent_values = '[]' then p.recent_values
                       else excluded.recent_values end
"""
COUNT_EVENTS = """
update incidents set event_count = event_count + %s, updated_at = now(),
  last_event_at = greatest(last_event_at, %s)
where id = %s
"""
SET_ANSWERED = """
update incident_patterns p set
  answered_values = t.answered::jsonb, recent_count = t.count, recent_values = t.recent::jsonb
from unnest(%s::text[], %s::text[], %s::bigint[], %s::text[])
  as t (fingerprint, answered, count, recent)
where p.incident_id = %s and p.fingerprint = t.fingerprint
"""
LOCK = "select * from incidents where id = %s for update"
LAST_REF = """
select count(*), coalesce(max(substr(ref, 2)::int), 0) from evidence where incident_id = %s
"""
ADD_EVIDENCE = """
insert into evidence (incident_id, ref, provenance, source, text, at, count, fingerprint)
select %s, ref, provenance, source, text, at, count, fingerprint
from unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::bigint[],
            %s::text[])
  as t (ref, provenance, source, text, at, count, fingerprint)
"""
# What an earlier piece about the pattern stands for ends with the next one.
END_EARLIER = """
update evidence e set count = greatest(1, ip.count - ip.recent_count - (
  select coalesce(sum(o.count), 0) from evidence o
  where o.incident_id = e.incident_id and o.fingerprint = e.fingerprint and o.ref <> e.ref))
from incident_patterns ip
where ip.incident_id = e.incident_id and ip.fingerprint = e.fingerprint and e.incident_id = %s
  and e.ref = (select o.ref from evidence o where o.incident_id = %s and o.fingerprint = %s
               order by substr(o.ref, 2)::int desc limit 1)
"""
SET_CONDITION = "update incidents set condition = %s::jsonb where id = %s"
# One at a time: two that each see the other without a parent would make a circle.
LOCK_PARENTS = "select pg_advisory_xact_lock(%s, 0)"
_PARENTS_SPACE = 0x7472_6962
SET_PARENT = """
with recursive above (id, parent_id) as (
  select id, parent_id from incidents where id = %(parent)s
  union select i.id, i.parent_id from incidents i join above a on i.id = a.parent_id
)
update incidents set parent_id = %(parent)s, updated_at = now()
where id = %(child)s and parent_id is distinct from %(parent)s
  and not exists (select from above where id = %(child)s)
returning id
"""


class How(enum.StrEnum):
    """What became of something that was escalated."""

    OPENED = "opened"
    JOINED = "joined"
    REOPENED = "reopened"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A row of `incidents`. States: `daemon.escalation.states`."""

    id: int
    state: str
    severity: Severity
    category: Category
    title: str
    unit: str
    correlation: str
    parent_id: int | None
    opened_at: dt.datetime
    updated_at: dt.datetime
    last_event_at: dt.datetime
    closed_at: dt.datetime | None
    close_reason: str | None
    reopened: int
    event_count: int
    condition: Mapping[str, Any] | None
    assessed: bool
    holistic: bool
    lease_owner: str | None
    lease_until: dt.datetime | None
    fence: int
    attempts: int
    next_at: dt.datetime
    deadline: dt.datetime | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NewIncident:
    """What an incident begins with. `at` is when what it is about happened, `fingerprints` are the
    patterns that it is opened for, by which the ledger says what this rests on."""

    severity: Severity
    category: Category
    title: str
    unit: str
    correlation: str
    at: dt.datetime
    parent_id: int | None = None
    condition: Mapping[str, Any] | None = None
    holistic: bool = False
    fingerprints: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The incident as it is now, how it came about, and what it was before it was joined."""

    incident: Incident
    how: How
    previous: Incident | None = None

    @property
    def worsened(self) -> bool:
        """It was live already and is more severe now."""
        return (
            self.how is How.JOINED
            and self.previous is not None
            and self.incident.severity.rank > self.previous.severity.rank
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PatternCount:
    """Occurrences of a pattern that belong to an incident. `count` is added; values, where there
    are any, take the place of those that were there."""

    fingerprint: str
    count: int
    first_at: dt.datetime
    last_at: dt.datetime
    top_values: tuple[tuple[str, str, int], ...] = ()
    recent_values: tuple[tuple[str, str, int], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """What a pattern counts on an incident since some moment."""

    fingerprint: str
    count: int
    values: tuple[tuple[str, str, int], ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NewEvidence:
    """A piece of evidence without its reference."""

    provenance: str
    source: str
    text: str
    at: dt.datetime
    count: int = 1
    fingerprint: str | None = None


def incident_of(row: DictRow) -> Incident:
    """A row of `select * from incidents` as a value."""
    return Incident(
        **{
            **row,
            "severity": Severity(row["severity"]),
            "category": Category(row["category"]),
        }
    )


async def open_or_join(
    work: Work, new: NewIncident, *, reopen_seconds: float, actor: str = "daemon"
) -> Opened:
    """The live incident with this correlation key, else one that closed less than `reopen_seconds`
    ago and is open again, else a new one. Exactly one, however many ask at once.

    Joining raises the severity if need be and moves `last_event_at`; it does not change the state.
    Reopening takes the new condition for the old one, which was measured to be gone, and the new
    title: what is offered for an incident rests on who says now that something is wrong, not on who
    said so then.
    One key for each transaction, or several in sorted order.
    """
    connection = work.connection
    key = clean(new.correlation)
    await connection.execute(LOCK_KEY, (_KEY_SPACE, key))
    live = await _one(connection, FIND_LIVE, (key,))
    severity = new.severity.value
    if live is not None:
        joined = await _one(connection, JOIN, (new.at, severity, severity, live.id))
        assert joined is not None  # noqa: S101 (it is locked)
        return Opened(incident=joined, how=How.JOINED, previous=live)
    closed = await _one(connection, FIND_CLOSED, (key, reopen_seconds))
    if closed is not None:
        worse = closed.severity.at_least(new.severity)
        condition = None if new.condition is None else to_json(new.condition)
        again = await _one(
            connection, REOPEN, (worse.value, new.at, condition, clean(new.title), closed.id)
        )
        assert again is not None  # noqa: S101
        await connection.execute(FORGET_RECENT, (again.id,))
        _record(work, again, new, actor=actor, previous="closed", happening="returned")
        return Opened(incident=again, how=How.REOPENED, previous=closed)
    opened = await _one(
        connection,
        INSERT,
        (
            severity,
            new.category.value,
            clean(new.title),
            clean(new.unit),
            key,
            new.parent_id,
            new.at,
            new.at,
            None if new.condition is None else to_json(new.condition),
            new.holistic,
        ),
    )
    assert opened is not None  # noqa: S101
    _record(work, opened, new, actor=actor, previous=None, happening="opened")
    return Opened(incident=opened, how=How.OPENED)


def _record(
    work: Work,
    incident: Incident,
    new: NewIncident,
    *,
    actor: str,
    previous: str | None,
    happening: str,
) -> None:
    work.record(
        NewEntry(
            kind="transition",
            actor=actor,
            incident_id=incident.id,
            body={
                "from": previous,
                "to": incident.state,
                "happening": happening,
                "severity": incident.severity.value,
                "category": incident.category.value,
                "title": incident.title,
                "correlation": incident.correlation,
                "fingerprints": list(new.fingerprints),
            },
        )
    )


async def add_patterns(work: Work, *, incident_id: int, counts: Sequence[PatternCount]) -> None:
    """Counts occurrences on an incident. Each fingerprint once."""
    if not counts:
        return
    await work.connection.execute(
        COUNT_EVENTS,
        (
            sum(count.count for count in counts),
            max(count.last_at for count in counts),
            incident_id,
        ),
    )
    await work.connection.execute(
        ADD_PATTERNS,
        (
            incident_id,
            [count.fingerprint for count in counts],
            [count.count for count in counts],
            [count.first_at for count in counts],
            [count.last_at for count in counts],
            [to_json(count.top_values) for count in counts],
            [to_json(count.recent_values) for count in counts],
        ),
    )


async def set_answered(
    work: Work,
    *,
    incident_id: int,
    rests_on: Sequence[Recent],
    left: Sequence[Recent],
) -> None:
    """An answer settled the incident: keeps what it rested on, and as recent what is `left`, which
    came while it was thought about. Each fingerprint once, in both."""
    of = {recent.fingerprint: recent for recent in left}
    await work.connection.execute(
        SET_ANSWERED,
        (
            [recent.fingerprint for recent in rests_on],
            [to_json(recent.values) for recent in rests_on],
            [of[recent.fingerprint].count for recent in rests_on],
            [to_json(of[recent.fingerprint].values) for recent in rests_on],
            incident_id,
        ),
    )


async def add_evidence(
    work: Work, *, incident_id: int, items: Sequence[NewEvidence], most: int = 200
) -> tuple[str, ...]:
    """Adds evidence and returns the references it got: E1, E2, ... never used again.

    At most `most` pieces stay on an incident; what comes beyond is left out, the first kept.
    """
    if not items or await lock(work, incident_id) is None:
        return ()
    row = await (await work.connection.execute(LAST_REF, (incident_id,))).fetchone()
    assert row is not None  # noqa: S101
    present, last = row
    added = list(items[: max(0, most - present)])
    refs = [f"E{last + number}" for number in range(1, len(added) + 1)]
    if added:
        await work.connection.execute(
            ADD_EVIDENCE,
            (
                incident_id,
                refs,
                [str(item.provenance) for item in added],
                [clean(item.source) for item in added],
                [clean(item.text) for item in added],
                [item.at for item in added],
                [item.count for item in added],
                [item.fingerprint for item in added],
            ),
        )
    return tuple(refs)


async def end_earlier_evidence(work: Work, *, incident_id: int, fingerprint: str) -> None:
    """The newest evidence about a pattern stands for what was counted before the recent ones; call
    it before evidence for those is added."""
    await work.connection.execute(END_EARLIER, (incident_id, incident_id, fingerprint))


async def set_condition(work: Work, *, incident_id: int, condition: Mapping[str, Any]) -> None:
    """What has to be measured as gone from now on."""
    await work.connection.execute(SET_CONDITION, (to_json(condition), incident_id))


async def lock(work: Work, incident_id: int) -> Incident | None:
    """The incident as it is, and as it stays until this transaction ends."""
    return await _one(work.connection, LOCK, (incident_id,))


async def set_parent(work: Work, *, child: int, parent: int, actor: str = "daemon") -> bool:
    """Says that `parent` is the cause of `child`. False when that is known or would be a circle."""
    await work.connection.execute(LOCK_PARENTS, (_PARENTS_SPACE,))
    cursor = await work.connection.execute(SET_PARENT, {"child": child, "parent": parent})
    if await cursor.fetchone() is None:
        return False
    work.record(NewEntry(kind="parent", actor=actor, incident_id=child, body={"parent": parent}))
    return True


async def _one(connection: Connection, statement: str, values: Sequence[Any]) -> Incident | None:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, values)
        row = await cursor.fetchone()
    return None if row is None else incident_of(row)

"""What happened before: counts for policy, outcomes for tiers, inverses, and the stop switch."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.rows import class_row

from daemon.ledger import NewEntry
from daemon.store.pool import Connection
from daemon.store.values import clean, to_json
from daemon.store.work import Work

# What a human approved does not use up what may be done without one.
PAST = """
select
  (select count(*) from actions where host = %(host)s and origin <> 'inverse'
     and answered_by is null and id <> %(id)s and started_at > now() - interval '1 hour'),
  (select count(*) from actions where host = %(host)s and kind = %(kind)s and origin <> 'inverse'
     and answered_by is null and id <> %(id)s and started_at > now() - interval '1 hour'),
  (select count(*) from actions where host = %(host)s and target = %(target)s
     and origin <> 'inverse' and answered_by is null and id <> %(id)s
     and started_at > now() - interval '1 hour'),
  (select count(*) from actions f where f.host = %(host)s and f.kind = %(kind)s
     and f.target = %(target)s and f.state in ('failed','unknown')
     and f.ended_at > now() - make_interval(secs => %(strike_seconds)s)
     and not exists (select from actions d where d.host = f.host and d.kind = f.kind
                     and d.target = f.target and d.state = 'done' and d.ended_at > f.ended_at)),
  (select state in ('failed','unknown') from actions where host = %(host)s and kind = %(kind)s
     and target = %(target)s and state in ('done','failed','unknown')
     order by ended_at desc limit 1),
  (select count(*) from actions where host = %(host)s and state = 'proposed'
     and id <> %(id)s),
  (select count(*) from actions where host = %(host)s and target = %(target)s
     and id <> %(id)s and state in ('approved','intent','started')),
  (select exists (select from actions where content_hash = %(hash)s and state = 'denied'
     and incident_id is not distinct from %(incident)s
     and answered_at > now() - interval '1 day')),
  (select stopped from stops order by id desc limit 1)
"""
LEARN = """
insert into outcomes (host, kind, target, fingerprint, done, failed, last_at, last_done)
select %(host)s, %(kind)s, %(target)s, f, %(done)s::int, (not %(done)s)::int, now(), %(done)s
from unnest(%(fingerprints)s::text[]) as f
on conflict (host, kind, target, fingerprint) do update set
  done = outcomes.done + excluded.done, failed = outcomes.failed + excluded.failed,
  last_at = excluded.last_at, last_done = excluded.last_done
"""
OUTCOMES = """
select kind, target, fingerprint, done, failed, last_at, last_done from outcomes
where host = %s and (kind, target) in (select * from unnest(%s::text[], %s::text[]))
  and fingerprint = ''
order by kind, target
"""
ARM = """
insert into inverses (action_id, host, kind, target, parameters, in_kernel, due_at)
values (%s, %s, %s, %s, %s::jsonb, %s, now() + make_interval(secs => %s))
on conflict (action_id) do update set due_at = excluded.due_at, state = 'armed', updated_at = now()
"""
DUE = """
select action_id, host, kind, target, parameters, in_kernel, due_at, state, request_id
from inverses where host = %s and state = 'armed' and due_at <= now() order by due_at limit %s
"""
# Undone by its own request, or by one that somebody else had made for the same when it was due.
UNDONE = """
select action_id from inverses where action_id = %s or request_id = %s
"""
SETTLE = """
update inverses set state = %s, request_id = coalesce(%s, request_id), updated_at = now()
where action_id = %s and state <> %s returning action_id
"""
# Asked for, and its request ended without undoing it: what a human denied stays as it is.
TO_REARM = """
select exists (select from inverses i join actions a on a.id = i.request_id
  where i.host = %s and i.state = 'due'
    and a.state in ('refused','expired','withdrawn','failed','unknown','denied'))
"""
# The longer it has been due, the more seldom, up to once a day: nobody may ever be able to undo it.
REARM = """
update inverses i set
  state = case when a.state = 'denied' then 'void' else 'armed' end,
  due_at = now() + greatest(make_interval(secs => %s),
                            least(now() - o.started_at, interval '1 day')),
  updated_at = now()
from actions a, actions o
where a.id = i.request_id and o.id = i.action_id and i.host = %s and i.state = 'due'
  and a.state in ('refused','expired','withdrawn','failed','unknown','denied')
returning i.action_id, i.state, a.state, a.why, extract(epoch from i.due_at - now())::float
"""
_SWITCH = 0x7472_6961_6765_6405  # "triaged", 5
SWITCHING = f"select pg_advisory_xact_lock({_SWITCH})"
HOLD_SWITCH = f"select pg_advisory_xact_lock_shared({_SWITCH})"
STOP = "insert into stops (stopped, by, reason) values (%s, %s, %s) returning *"
STOPPED = "select * from stops order by id desc limit 1"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PastRow:
    """What policy is told; see `daemon.actions.policy.facts.Past`. `denied`: a human denied this
    very action for this incident within a day."""

    in_hour: int
    kind_in_hour: int
    target_in_hour: int
    failures: int
    last_failed: bool
    waiting: int
    unfinished_on_target: int
    denied: bool
    stopped: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRow:
    """What doing this to that has led to, as it was measured."""

    kind: str
    target: str
    fingerprint: str
    done: int
    failed: int
    last_at: dt.datetime
    last_done: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class InverseRow:
    """What takes an action back, and when. `state` is armed, due (asked for), undone or void (the
    action had no effect)."""

    action_id: int
    host: str
    kind: str
    target: str
    parameters: dict[str, Any]
    in_kernel: bool
    due_at: dt.datetime
    state: str
    request_id: int | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StopRow:
    """One turn of the stop switch; the newest says how it stands."""

    id: int
    stopped: bool
    by: str
    reason: str
    at: dt.datetime


async def past(
    connection: Connection,
    *,
    host: str,
    kind: str,
    target: str,
    content_hash: str,
    incident_id: int | None,
    strike_hours: float,
    without: int = 0,
) -> PastRow:
    """What counts for an action on `target`, leaving out the action with the id `without`."""
    cursor = await connection.execute(
        PAST,
        {
            "host": host,
            "kind": kind,
            "target": target,
            "hash": content_hash,
            "incident": incident_id,
            "strike_seconds": strike_hours * 3_600,
            "id": without,
        },
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101
    return PastRow(
        in_hour=row[0],
        kind_in_hour=row[1],
        target_in_hour=row[2],
        failures=row[3],
        last_failed=bool(row[4]),
        waiting=row[5],
        unfinished_on_target=row[6],
        denied=bool(row[7]),
        stopped=bool(row[8]),
    )


async def learn(
    work: Work, *, host: str, kind: str, target: str, fingerprints: Sequence[str], done: bool
) -> None:
    """Counts a verified outcome, over all and for each pattern."""
    await work.connection.execute(
        LEARN,
        {
            "host": host,
            "kind": kind,
            "target": target,
            "done": done,
            "fingerprints": sorted({"", *fingerprints}),
        },
    )


async def outcomes(
    connection: Connection, *, host: str, actions: Sequence[tuple[str, str]]
) -> list[OutcomeRow]:
    """What is known of these (kind, target) pairs, over all patterns."""
    async with connection.cursor(row_factory=class_row(OutcomeRow)) as cursor:
        kinds, targets = [kind for kind, _ in actions], [target for _, target in actions]
        await cursor.execute(OUTCOMES, (host, kinds, targets))
        return await cursor.fetchall()


async def arm_inverse(
    work: Work,
    *,
    action_id: int,
    host: str,
    kind: str,
    target: str,
    parameters: Mapping[str, Any],
    after_seconds: float,
    in_kernel: bool,
) -> None:
    """Stores what takes an action back, in the transaction of its intent."""
    await work.connection.execute(
        ARM,
        (action_id, host, kind, target, to_json(dict(parameters)), in_kernel, after_seconds),
    )
    work.record(
        NewEntry(
            kind="action_inverse",
            actor="daemon",
            body={
                "action_id": str(action_id),
                "inverse": kind,
                "target": target,
                "after_seconds": after_seconds,
                "state": "armed",
            },
        )
    )


async def due_inverses(connection: Connection, *, host: str, limit: int = 20) -> list[InverseRow]:
    """What is to be taken back now."""
    async with connection.cursor(row_factory=class_row(InverseRow)) as cursor:
        await cursor.execute(DUE, (host, limit))
        return await cursor.fetchall()


async def any_to_rearm(connection: Connection, *, host: str) -> bool:
    """Whether `rearm_inverses` would do anything."""
    row = await (await connection.execute(TO_REARM, (host,))).fetchone()
    return row is not None and bool(row[0])


async def rearm_inverses(work: Work, *, host: str, after_seconds: float) -> list[int]:
    """Makes due again, in `after_seconds` at the earliest, what was asked for and not undone;
    those actions. What a human denied to undo is not asked for again."""
    cursor = await work.connection.execute(REARM, (after_seconds, host))
    again = []
    for action_id, state, ended, why, seconds in await cursor.fetchall():
        work.record(
            NewEntry(
                kind="action_inverse",
                actor="daemon",
                body={
                    "action_id": str(action_id),
                    "state": state,
                    "why": f"its request was {ended}: {why}",
                    "after_seconds": round(seconds),
                },
            )
        )
        if state == "armed":
            again.append(action_id)
    return again


async def undone_by(work: Work, *, request_id: int, inverse_of: int | None) -> list[int]:
    """The actions that this request, which was done, has taken back."""
    cursor = await work.connection.execute(UNDONE, (inverse_of, request_id))
    return [row[0] for row in await cursor.fetchall()]


async def settle_inverse(
    work: Work, *, action_id: int, state: str, why: str, request_id: int | None = None
) -> None:
    """Says what became of it: due (asked for), undone or void."""
    cursor = await work.connection.execute(SETTLE, (state, request_id, action_id, state))
    if await cursor.fetchone() is not None:
        work.record(
            NewEntry(
                kind="action_inverse",
                actor="daemon",
                body={
                    "action_id": str(action_id),
                    "state": state,
                    "why": why,
                    "request": request_id,
                },
            )
        )


async def switch(work: Work, *, stopped: bool, by: str, reason: str) -> StopRow:
    """Throws the stop switch, or releases it. Waits for what is just being begun: once this is
    committed, nothing is begun any more."""
    await work.connection.execute(SWITCHING)
    async with work.connection.cursor(row_factory=class_row(StopRow)) as cursor:
        await cursor.execute(STOP, (stopped, clean(by), clean(reason)))
        row = await cursor.fetchone()
    assert row is not None  # noqa: S101
    work.record(NewEntry(kind="action_stop", actor=by, body={"stopped": stopped, "reason": reason}))
    return row


async def hold_switch(work: Work) -> StopRow | None:
    """As `last_switch`, and it stays so until the transaction is over."""
    await work.connection.execute(HOLD_SWITCH)
    return await last_switch(work.connection)


async def last_switch(connection: Connection) -> StopRow | None:
    """How the stop switch stands; None where nobody ever threw it."""
    async with connection.cursor(row_factory=class_row(StopRow)) as cursor:
        await cursor.execute(STOPPED)
        return await cursor.fetchone()

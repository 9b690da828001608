"""Actions: inserted once, moved by compare-and-set, each step with an entry in the ledger.

What may follow what is decided in `daemon.actions.states`; here states are words. A row is moved
by whoever names the state and the fence that it read; every move counts the fence up.
"""

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

COLUMNS = (
    "id, host, kind, target, parameters, content_hash, sentence, incident_id, origin, requested_by,"
    " reason, evidence, fingerprints, basis, inverse_of, state, risk, rule, why, code,"
    " requested_at, decided_at, expires_at, answered_at, answered_by, answered_from, approved_hash,"
    " started_at, ended_at, before, measured, output, reversal, confirm_by, confirmed_at,"
    " confirmed_by, lease_owner, lease_until, fence, next_at"
)
# State: new -> requested. The same content while it is open is the same action.
INSERT = f"""
insert into actions (host, kind, target, parameters, content_hash, sentence, incident_id, origin,
                     requested_by, reason, evidence, fingerprints, basis, inverse_of)
values (%s, %s, %s, %s::jsonb, %s, %s, %s, %s, %s, %s, %s::text[], %s::text[], %s, %s)
on conflict (content_hash)
  where state in ('requested','proposed','approved','intent','started') do nothing
returning {COLUMNS}
"""  # noqa: S608 (constants)
OPEN_ONE = f"""
select {COLUMNS} from actions where content_hash = %s
  and state in ('requested','proposed','approved','intent','started')
"""  # noqa: S608
GET = f"select {COLUMNS} from actions where id = %s"  # noqa: S608
BY_CODE = f"""
select {COLUMNS} from actions where code = %s
order by state = 'proposed' desc, id desc limit 1
"""  # noqa: S608
IS_LATE = "select expires_at <= now() from actions where id = %s"
WAITING = f"select {COLUMNS} from actions where state = 'proposed' order by id limit %s"  # noqa: S608
LISTING = f"""
select {COLUMNS} from actions
where (%(states)s::text[] is null or state = any(%(states)s))
  and (%(kind)s::text is null or kind = %(kind)s)
  and (%(target)s::text is null or target = %(target)s)
  and (%(incident)s::bigint is null or incident_id = %(incident)s)
  and (%(before)s::bigint is null or id < %(before)s)
order by id desc limit %(limit)s
"""  # noqa: S608
# State: as `daemon.actions.states` says. None leaves a column as it is. What has expired by
# this clock is neither approved by a human nor begun, even where nobody has said yet that it has.
MOVE = f"""
update actions set
  state = %(to)s, fence = fence + 1,
  risk = coalesce(%(risk)s, risk), rule = coalesce(%(rule)s, rule), why = coalesce(%(why)s, why),
  code = coalesce(%(code)s, code),
  decided_at = case when %(decided)s then now() else decided_at end,
  expires_at = coalesce(now() + make_interval(secs => %(expires)s), expires_at),
  answered_at = case when %(answered_by)s::text is null then answered_at else now() end,
  answered_by = coalesce(%(answered_by)s, answered_by),
  answered_from = coalesce(%(answered_from)s, answered_from),
  approved_hash = coalesce(%(approved_hash)s, approved_hash),
  started_at = case when %(to)s = 'started' then now() else started_at end,
  ended_at = case when %(to)s = any(array['done','failed','unknown']) then now() else ended_at end,
  before = coalesce(%(before)s::jsonb, before),
  measured = coalesce(%(measured)s::jsonb, measured),
  output = coalesce(%(output)s, output),
  reversal = coalesce(%(reversal)s::jsonb, reversal),
  confirm_by = coalesce(now() + make_interval(secs => %(confirm)s), confirm_by),
  lease_owner = case when %(lease)s then lease_owner end,
  lease_until = case when %(lease)s then lease_until end,
  next_at = now()
where id = %(id)s and state = %(from)s and fence = %(fence)s
  and (expires_at is null or expires_at > now()
       or not (%(to)s = 'intent' or state = 'proposed' and %(to)s = 'approved'))
returning {COLUMNS}
"""  # noqa: S608
# State: stays. Those whose executor died come along: what was begun is measured, never run again.
CLAIM = f"""
update actions set lease_owner = %(owner)s, fence = fence + 1,
  lease_until = now() + make_interval(secs => %(seconds)s)
where id = (
  select a.id from actions a
  where a.host = %(host)s and a.state in ('approved','intent','started') and a.next_at <= now()
    and (a.lease_until is null or a.lease_until < now())
    and (a.state <> 'approved' or (a.expires_at is null or a.expires_at > now()) and not exists (
      select from actions b where b.host = a.host and b.target = a.target and b.id <> a.id
        and b.state in ('intent','started')))
  order by a.state = 'started' desc, a.id limit 1 for update skip locked)
returning {COLUMNS}
"""  # noqa: S608
RENEW = """
update actions set lease_until = now() + make_interval(secs => %s)
where id = %s and fence = %s and lease_owner = %s returning id
"""
PAUSE = """
update actions set lease_owner = null, lease_until = null, fence = fence + 1,
  next_at = now() + make_interval(secs => %s)
where id = %s and fence = %s
"""
DUE_REQUESTS = f"""
select {COLUMNS} from actions where host = %s and state = 'requested' and next_at <= now()
order by id limit %s
"""  # noqa: S608
LATE = f"""
select {COLUMNS} from actions
where state in ('proposed','approved') and expires_at < now()
  or state = 'requested' and host = %(host)s
    and coalesce(decided_at, requested_at) < now() - make_interval(secs => %(seconds)s)
order by id limit 100
"""  # noqa: S608
# What was asked for an incident that ended since. What a human approved is what the human wants.
_OVER = """
i.state = 'closed' and i.closed_at > a.requested_at
  and (a.state = 'proposed' or a.state in ('requested','approved') and a.approved_hash is null)
"""
OBSOLETE = f"""
select {", ".join("a." + column.strip() for column in COLUMNS.split(","))} from actions a
join incidents i on i.id = a.incident_id
where {_OVER} order by a.id limit 100
"""  # noqa: S608
PENDING = f"""
select exists (select from actions where host = %(host)s and state = 'requested')
  or exists (select from actions where state in ('proposed','approved') and expires_at < now())
  or exists (select from actions a join incidents i on i.id = a.incident_id
             where {_OVER})
  or exists (select from inverses where host = %(host)s and state = 'armed' and due_at <= now())
  or exists (select from inverses where host = %(host)s and state = 'due')
  or exists (select from actions where host = %(host)s and confirm_by < now()
             and confirmed_at is null and started_at is not null
             and not reversal ? 'carried_out')
"""  # noqa: S608
CLAIMABLE = """
select exists (select from actions where host = %s and state in ('approved','intent','started')
  and next_at <= now() and (lease_until is null or lease_until < now()))
"""
CONFIRM = f"""
update actions set confirmed_at = now(), confirmed_by = %s
where id = %s and confirm_by is not null and confirmed_at is null returning {COLUMNS}
"""  # noqa: S608
# Its time is over and nobody confirmed: what systemd did is looked at once.
REVERSED = f"""
select {COLUMNS} from actions
where host = %s and confirm_by < now() and confirmed_at is null and started_at is not null
  and not reversal ? 'carried_out' order by id limit 20
"""  # noqa: S608
NOTE_REVERSAL = """
update actions set reversal = reversal || jsonb_build_object('carried_out', %s::bool)
where id = %s and not reversal ? 'carried_out' returning id
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NewAction:
    """An action that somebody asks for. `reason` is the asker's own text; `basis` and `evidence`
    are what code tied to the target; `fingerprints` are the patterns that it is about."""

    host: str
    kind: str
    target: str
    parameters: Mapping[str, Any]
    content_hash: str
    sentence: str
    origin: str
    requested_by: str
    reason: str
    basis: str
    evidence: Sequence[str] = ()
    fingerprints: Sequence[str] = ()
    incident_id: int | None = None
    inverse_of: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ActionRow:
    """An action as it is stored. `before` and `measured` are the kind's own; `why` is the sentence
    of the policy, and of the result once there is one."""

    id: int
    host: str
    kind: str
    target: str
    parameters: dict[str, Any]
    content_hash: str
    sentence: str
    incident_id: int | None
    origin: str
    requested_by: str
    reason: str
    evidence: list[str]
    fingerprints: list[str]
    basis: str
    inverse_of: int | None
    state: str
    risk: str | None
    rule: str | None
    why: str | None
    code: str | None
    requested_at: dt.datetime
    decided_at: dt.datetime | None
    expires_at: dt.datetime | None
    answered_at: dt.datetime | None
    answered_by: str | None
    answered_from: str | None
    approved_hash: str | None
    started_at: dt.datetime | None
    ended_at: dt.datetime | None
    before: dict[str, Any]
    measured: dict[str, Any]
    output: str
    reversal: dict[str, Any] | None
    confirm_by: dt.datetime | None
    confirmed_at: dt.datetime | None
    confirmed_by: str | None
    lease_owner: str | None
    lease_until: dt.datetime | None
    fence: int
    next_at: dt.datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One step of an action, and what goes with it. Seconds are from now on. `entry` is the
    ledger's kind, `detail` its further content. `keep_lease`: the executor goes on."""

    row: ActionRow
    to: str
    entry: str
    actor: str
    risk: str | None = None
    rule: str | None = None
    why: str | None = None
    code: str | None = None
    decided: bool = False
    expires_seconds: float | None = None
    answered_by: str | None = None
    answered_from: str | None = None
    approved_hash: str | None = None
    before: Mapping[str, Any] | None = None
    measured: Mapping[str, Any] | None = None
    output: str | None = None
    reversal: Mapping[str, Any] | None = None
    confirm_seconds: float | None = None
    keep_lease: bool = False
    detail: Mapping[str, Any] = dataclasses.field(default_factory=dict)


async def insert(work: Work, new: NewAction) -> tuple[ActionRow, bool]:
    """The action, and whether it is new: what is open already is not asked for again."""
    async with work.connection.cursor(row_factory=class_row(ActionRow)) as cursor:
        await cursor.execute(
            INSERT,
            (
                new.host,
                clean(new.kind),
                clean(new.target),
                to_json(dict(new.parameters)),
                new.content_hash,
                clean(new.sentence),
                new.incident_id,
                new.origin,
                clean(new.requested_by),
                clean(new.reason),
                list(new.evidence),
                list(new.fingerprints),
                new.basis,
                new.inverse_of,
            ),
        )
        row = await cursor.fetchone()
        if row is None:
            await cursor.execute(OPEN_ONE, (new.content_hash,))
            row = await cursor.fetchone()
            if row is not None:
                return row, False
            # It ended between the two statements; the caller's transaction is tried again.
            return await insert(work, new)
    work.record(
        NewEntry(
            kind="action_request",
            actor=new.requested_by,
            incident_id=new.incident_id,
            body={
                **_identity(row),
                "sentence": new.sentence,
                "origin": new.origin,
                "reason": new.reason,
                "basis": new.basis,
                "evidence": list(new.evidence),
                "inverse_of": new.inverse_of,
            },
        )
    )
    return row, True


async def move(work: Work, step: Move) -> ActionRow | None:
    """Makes a step and records it. None: the action is not as its row says any more, and the
    caller must not write anything about it. Raises `StoreRejectedError` where the code is taken,
    or another action on the same target is under way."""
    row = step.row
    async with work.connection.cursor(row_factory=class_row(ActionRow)) as cursor:
        await cursor.execute(
            MOVE,
            {
                "id": row.id,
                "from": row.state,
                "fence": row.fence,
                "to": step.to,
                "risk": step.risk,
                "rule": step.rule,
                "why": None if step.why is None else clean(step.why),
                "code": step.code,
                "decided": step.decided,
                "expires": step.expires_seconds,
                "answered_by": None if step.answered_by is None else clean(step.answered_by),
                "answered_from": None if step.answered_from is None else clean(step.answered_from),
                "approved_hash": step.approved_hash,
                "before": None if step.before is None else to_json(dict(step.before)),
                "measured": None if step.measured is None else to_json(dict(step.measured)),
                "output": None if step.output is None else clean(step.output),
                "reversal": None if step.reversal is None else to_json(dict(step.reversal)),
                "confirm": step.confirm_seconds,
                "lease": step.keep_lease,
            },
        )
        moved = await cursor.fetchone()
    if moved is None:
        return None
    work.record(
        NewEntry(
            kind=step.entry,
            actor=step.actor,
            incident_id=row.incident_id,
            body={
                **_identity(row),
                "from": row.state,
                "to": step.to,
                "why": step.why,
                "evidence": row.evidence,
                **step.detail,
            },
        )
    )
    return moved


def _identity(row: ActionRow) -> dict[str, Any]:
    """What every entry about an action begins with; `daemon.views.effects` reads it."""
    return {
        "action_id": str(row.id),
        "action": row.kind,
        "target": row.target,
        "parameters": row.parameters,
        "content_hash": row.content_hash,
    }


async def get(connection: Connection, action_id: int) -> ActionRow | None:
    """None where there is none."""
    return await _one(connection, GET, (action_id,))


async def by_code(connection: Connection, code: str) -> ActionRow | None:
    """The proposal that waits under this code, else the newest that had it."""
    return await _one(connection, BY_CODE, (code.upper(),))


async def is_late(connection: Connection, row: ActionRow) -> bool:
    """Whether its time is over, by the store's clock: that of a daemon may be wrong."""
    found = await (await connection.execute(IS_LATE, (row.id,))).fetchone()
    return found is not None and bool(found[0])


async def waiting(connection: Connection, *, limit: int = 1_000) -> list[ActionRow]:
    """Proposals, oldest first."""
    return await _all(connection, WAITING, (limit,))


async def listing(
    connection: Connection,
    *,
    states: Sequence[str] | None = None,
    kind: str | None = None,
    target: str | None = None,
    incident_id: int | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[ActionRow]:
    """Newest first, those with an id below `before`: page by page."""
    return await _all(
        connection,
        LISTING,
        {
            "states": None if states is None else list(states),
            "kind": kind,
            "target": None if target is None else clean(target),
            "incident": incident_id,
            "before": before,
            "limit": limit,
        },
    )


async def pending(connection: Connection, *, host: str) -> bool:
    """Whether the desk of this host has anything to look at."""
    row = await (await connection.execute(PENDING.encode(), {"host": host})).fetchone()
    return row is not None and bool(row[0])


async def claimable(connection: Connection, *, host: str) -> bool:
    """Whether `claim` may find anything: one question, where mostly nothing is to be done."""
    row = await (await connection.execute(CLAIMABLE, (host,))).fetchone()
    return row is not None and bool(row[0])


async def requests(connection: Connection, *, host: str, limit: int = 20) -> list[ActionRow]:
    """What this host has to decide on, oldest first."""
    return await _all(connection, DUE_REQUESTS, (host, limit))


async def late(connection: Connection, *, host: str, seconds: float) -> list[ActionRow]:
    """Proposals that nobody answered in time, approvals that nobody carried out in time, and what
    was asked for on this host and not decided on within `seconds`."""
    return await _all(connection, LATE, {"host": host, "seconds": seconds})


async def obsolete(connection: Connection) -> list[ActionRow]:
    """What waits, and was asked for an incident that is over."""
    return await _all(connection, OBSOLETE, ())


async def claim(work: Work, *, host: str, owner: str, lease_seconds: float) -> ActionRow | None:
    """An action of this host that is to be carried out, or whose executor died; under a lease.
    What was begun comes first."""
    return await _one(
        work.connection, CLAIM, {"host": host, "owner": owner, "seconds": lease_seconds}
    )


async def renew(work: Work, row: ActionRow, *, owner: str, lease_seconds: float) -> bool:
    """Extends a lease. False: it is lost, and the executor must write nothing more."""
    cursor = await work.connection.execute(RENEW, (lease_seconds, row.id, row.fence, owner))
    return await cursor.fetchone() is not None


async def pause(work: Work, row: ActionRow, *, seconds: float) -> None:
    """Gives a lease back; the action is taken up again, or decided on, in `seconds`."""
    await work.connection.execute(PAUSE, (seconds, row.id, row.fence))


async def confirm(work: Work, row: ActionRow, *, by: str) -> ActionRow | None:
    """The operator's way in works. None: nothing waits for that."""
    confirmed = await _one(work.connection, CONFIRM, (clean(by), row.id))
    if confirmed is not None:
        work.record(
            NewEntry(
                kind="action_confirmed",
                actor=by,
                incident_id=row.incident_id,
                body=_identity(row),
            )
        )
    return confirmed


async def reversed_unseen(connection: Connection, *, host: str) -> list[ActionRow]:
    """Actions of a host whose time to confirm is over, and whose reversal was not looked at."""
    return await _all(connection, REVERSED, (host,))


async def note_reversal(work: Work, row: ActionRow, *, carried_out: bool, why: str) -> bool:
    """Says once what became of a reversal that nobody called off. False: it was said already."""
    cursor = await work.connection.execute(NOTE_REVERSAL, (carried_out, row.id))
    if await cursor.fetchone() is None:
        return False
    work.record(
        NewEntry(
            kind="action_reversed",
            actor="systemd",
            incident_id=row.incident_id,
            body={**_identity(row), "carried_out": carried_out, "why": why},
        )
    )
    return True


async def _one(connection: Connection, statement: str, values: Any) -> ActionRow | None:
    async with connection.cursor(row_factory=class_row(ActionRow)) as cursor:
        await cursor.execute(statement.encode(), values)
        return await cursor.fetchone()


async def _all(connection: Connection, statement: str, values: Any) -> list[ActionRow]:
    async with connection.cursor(row_factory=class_row(ActionRow)) as cursor:
        await cursor.execute(statement.encode(), values)
        return await cursor.fetchall()

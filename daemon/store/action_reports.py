"""Actions as they are reported: counts, durations, one action's entries, what is to be told."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from psycopg.rows import class_row

from daemon.ledger import Entry
from daemon.store.action_past import InverseRow, StopRow
from daemon.store.actions import COLUMNS, ActionRow
from daemon.store.ledger import COLUMNS as LEDGER_COLUMNS
from daemon.store.pool import Connection

BUCKETS = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0)
"""Bounds in seconds in which durations are counted, each with all below it."""

TALLIES = """
select kind, state as outcome, count(*) as count,
  count(ended_at - started_at) as timed,
  coalesce(sum(extract(epoch from ended_at - started_at)), 0)::float8 as seconds,
  (select array_agg(n order by bound) from (
     select bound, count(*) filter (where s <= bound) as n
     from unnest(%s::float8[]) as bound,
          unnest(array_agg(extract(epoch from ended_at - started_at)::float8)) as s
     group by bound) within) as within
from actions
where state not in ('requested','proposed','approved','intent','started')
group by kind, state order by kind, state
"""
OPEN = """
select count(*) filter (where state = 'proposed'),
       count(*) filter (where state in ('approved','intent','started'))
from actions where state in ('requested','proposed','approved','intent','started')
"""
# The index by kind leaves the few entries about actions of the whole ledger.
ENTRIES = f"""
select {LEDGER_COLUMNS} from ledger
where kind = any(%s) and body ->> 'action_id' = %s order by seq limit %s
"""  # noqa: S608 (constants)
INVERSE = """
select action_id, host, kind, target, parameters, in_kernel, due_at, state, request_id
from inverses where action_id = %s
"""
# What is long over is not told to a channel that is new.
_UNTOLD = """not exists (select from notices n where n.channel = %(channel)s
             and n.key = 'action/' || a.id || '/' || """
_PREFIXED = ", ".join(f"a.{column.strip()}" for column in COLUMNS.split(","))
TO_PROPOSE = f"""
select {_PREFIXED} from actions a
where a.state = 'proposed' and a.expires_at > now() and {_UNTOLD} 'proposed')
order by a.id limit %(limit)s
"""  # noqa: S608
TO_RESULT = f"""
select {_PREFIXED} from actions a
where a.state in ('done','failed','unknown') and a.ended_at > now() - interval '1 day'
  and {_UNTOLD} 'result')
order by a.id limit %(limit)s
"""  # noqa: S608
TO_CONFIRM = f"""
select {_PREFIXED} from actions a
where a.started_at is not null and a.confirm_by > now() and a.confirmed_at is null
  and {_UNTOLD} 'confirm')
order by a.id limit %(limit)s
"""  # noqa: S608
TO_SWITCH = """
select s.* from stops s
where s.at > now() - interval '1 day'
  and not exists (select from notices n where n.channel = %(channel)s and n.key = 'stop/' || s.id)
order by s.id limit %(limit)s
"""
KINDS = (
    "action_request", "action_decision", "action_approval", "action_intent", "action_started",
    "action_result", "action_inverse", "action_expired", "action_withdrawn", "action_confirmed",
    "action_reversal",
)  # fmt: skip
"""Entries of the ledger that are about one action."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TallyRow:
    """Actions of a kind that ended so. `timed` of them were begun and took `seconds` together;
    `within` counts those that took at most as long as each of `BUCKETS`, None where none did."""

    kind: str
    outcome: str
    count: int
    timed: int
    seconds: float
    within: list[int] | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Untold:
    """What a channel was not told of yet."""

    proposed: Sequence[ActionRow]
    ended: Sequence[ActionRow]
    unconfirmed: Sequence[ActionRow]
    switched: Sequence[StopRow]


async def tallies(connection: Connection) -> list[TallyRow]:
    """Over all hosts at this database, by kind and outcome."""
    async with connection.cursor(row_factory=class_row(TallyRow)) as cursor:
        await cursor.execute(TALLIES, (list(BUCKETS),))
        return await cursor.fetchall()


async def open_counts(connection: Connection) -> tuple[int, int]:
    """How many proposals wait, and how many actions are approved or under way."""
    row = await (await connection.execute(OPEN)).fetchone()
    assert row is not None  # noqa: S101
    return int(row[0]), int(row[1])


async def entries_of(connection: Connection, action_id: int, *, limit: int = 200) -> list[Entry]:
    """An action's entries in the ledger, in order."""
    async with connection.cursor(row_factory=class_row(Entry)) as cursor:
        await cursor.execute(ENTRIES.encode(), (list(KINDS), str(action_id), limit))
        return await cursor.fetchall()


async def inverse_of(connection: Connection, action_id: int) -> InverseRow | None:
    """What takes an action back, None where nothing does."""
    async with connection.cursor(row_factory=class_row(InverseRow)) as cursor:
        await cursor.execute(INVERSE, (action_id,))
        return await cursor.fetchone()


async def untold(connection: Connection, *, channel: str, limit: int = 100) -> Untold:
    """Proposals, results of the last day, reversals that wait for a confirmation, and turns of
    the stop switch, each of which the channel was not told of; oldest first."""
    values = {"channel": channel, "limit": limit}

    async def rows(statement: str) -> list[ActionRow]:
        async with connection.cursor(row_factory=class_row(ActionRow)) as cursor:
            await cursor.execute(statement.encode(), values)
            return await cursor.fetchall()

    async with connection.cursor(row_factory=class_row(StopRow)) as cursor:
        await cursor.execute(TO_SWITCH, values)
        switched = await cursor.fetchall()
    return Untold(
        proposed=await rows(TO_PROPOSE),
        ended=await rows(TO_RESULT),
        unconfirmed=await rows(TO_CONFIRM),
        switched=switched,
    )


def proposed_key(row: ActionRow) -> str:
    """The identity of the notice about a proposal."""
    return f"action/{row.id}/proposed"


def result_key(row: ActionRow) -> str:
    return f"action/{row.id}/result"


def confirm_key(row: ActionRow) -> str:
    return f"action/{row.id}/confirm"


def switch_key(row: StopRow) -> str:
    return f"stop/{row.id}"

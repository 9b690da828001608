"""Incidents change their state here, and only here: by compare-and-set, with a ledger entry.

`apply` works on many at once, in the caller's transaction. `TransitionGroup` lets concurrent
callers share one transaction, because appending to the ledger is serial: what comes while a commit
is under way goes together into the next.

What may follow what is decided in `daemon.escalation.states`; here states are words.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from daemon.ledger import NewEntry
from daemon.store.errors import StoreUnavailableError
from daemon.store.pool import Database
from daemon.store.values import clean, to_json
from daemon.store.work import Work, begin
from tiers.vocabulary import Severity

CLOSED = "closed"
_MOST = 256
_STOPPING = "triaged is stopping; whether this was committed shows in the incident"

# State change: any -> any, as `daemon.escalation.states` decided; ends the lease. Locked in one
# order first, so that groups of several daemons do not wait in a circle.
COMPARE_AND_SET = """
with locked as materialized (
  select id from incidents where id = any(%s::bigint[]) order by id for update
)
update incidents i set
  state        = t.to_state,
  fence        = i.fence + 1,
  updated_at   = now(),
  -- It may have risen while somebody thought about the incident: a severity never falls.
  severity     = case when array_position(array['info','notice','warning','critical'], t.severity)
                        > array_position(array['info','notice','warning','critical'], i.severity)
                      then t.severity else i.severity end,
  title        = coalesce(t.title, i.title),
  condition    = coalesce(t.condition::jsonb, i.condition),
  assessed     = i.assessed or t.assessed,
  attempts     = coalesce(t.attempts, i.attempts),
  next_at      = coalesce(t.next_at, now()),
  deadline     = t.deadline,
  closed_at    = case when t.to_state = 'closed' then now() end,
  close_reason = case when t.to_state = 'closed' then t.reason end,
  lease_owner  = null,
  lease_until  = null
from unnest(%s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[],
            %s::text[], %s::bool[], %s::int[], %s::timestamptz[], %s::timestamptz[])
  as t (id, from_state, fence, to_state, reason, severity, title, condition, assessed, attempts,
        next_at, deadline)
join locked using (id)
where i.id = t.id and i.state = t.from_state and i.fence = t.fence
returning i.id
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One incident goes from `from_state` to `to_state`, if it is still there with this `fence`.

    `happening` and `reason` go to the ledger; `reason` is also the close reason. What is None stays
    as it is, except `next_at` (when a worker may take it: now) and `deadline` (none). `detail` is
    further content for the ledger.
    """

    incident_id: int
    from_state: str
    fence: int
    to_state: str
    happening: str
    actor: str
    reason: str
    severity: Severity | None = None
    title: str | None = None
    condition: Mapping[str, Any] | None = None
    assessed: bool = False
    attempts: int | None = None
    next_at: dt.datetime | None = None
    deadline: dt.datetime | None = None
    detail: Mapping[str, Any] = dataclasses.field(default_factory=dict)


async def apply(work: Work, transitions: Sequence[Transition]) -> set[int]:
    """Makes the transitions whose incident is as they expect, and records those.

    Returns the incidents that moved. One that is missing was moved by somebody else first: its
    caller lost, and must not write anything more about it.
    """
    if not transitions:
        return set()
    ids = [transition.incident_id for transition in transitions]
    if len(set(ids)) != len(ids):
        msg = "an incident can make one transition in a transaction"
        raise ValueError(msg)
    cursor = await work.connection.execute(
        COMPARE_AND_SET,
        (
            ids,
            ids,
            [str(item.from_state) for item in transitions],
            [item.fence for item in transitions],
            [str(item.to_state) for item in transitions],
            [clean(item.reason) for item in transitions],
            [None if item.severity is None else item.severity.value for item in transitions],
            [None if item.title is None else clean(item.title) for item in transitions],
            [None if item.condition is None else to_json(item.condition) for item in transitions],
            [item.assessed for item in transitions],
            [item.attempts for item in transitions],
            [item.next_at for item in transitions],
            [item.deadline for item in transitions],
        ),
    )
    moved = {row[0] for row in await cursor.fetchall()}
    for item in transitions:
        if item.incident_id in moved:
            work.record(entry_of(item))
    return moved


def entry_of(item: Transition) -> NewEntry:
    """The ledger's entry of a transition."""
    return NewEntry(
        kind="transition",
        actor=item.actor,
        incident_id=item.incident_id,
        body={
            "from": str(item.from_state),
            "to": str(item.to_state),
            "happening": str(item.happening),
            "reason": item.reason,
            **item.detail,
        },
    )


FollowUp = Callable[[Work], Awaitable[None]]
"""What else happens in the transaction of a transition that succeeded."""


@dataclasses.dataclass(slots=True, kw_only=True)
class _Waiting:
    transition: Transition
    follow_up: FollowUp | None
    moved: asyncio.Future[bool]


class TransitionGroup:
    """Transitions of concurrent callers, committed together. Use `transition_group` to make one."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        self._waiting: list[_Waiting] = []
        self._wake = asyncio.Event()

    async def apply(self, transition: Transition, *, follow_up: FollowUp | None = None) -> bool:
        """True when the transition and its follow-up are durable; False when the incident had been
        moved by somebody else.

        Raises `StoreUnavailableError` when it may or may not have happened: read the incident.
        """
        waiting = _Waiting(
            transition=transition,
            follow_up=follow_up,
            moved=asyncio.get_running_loop().create_future(),
        )
        self._waiting.append(waiting)
        self._wake.set()
        return await waiting.moved

    async def run(self) -> None:
        """Commits what waits, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._commit_next()

    def abandon(self) -> None:
        """Fails what still waits: triaged is stopping."""
        for waiting in self._waiting:
            if not waiting.moved.done():
                waiting.moved.set_exception(StoreUnavailableError(_STOPPING))
        self._waiting.clear()

    async def _commit_next(self) -> None:
        taken: list[_Waiting] = []
        later: list[_Waiting] = []
        ids: set[int] = set()
        for waiting in self._waiting:
            if waiting.moved.cancelled():
                continue
            if len(taken) < _MOST and waiting.transition.incident_id not in ids:
                ids.add(waiting.transition.incident_id)
                taken.append(waiting)
            else:
                later.append(waiting)
        self._waiting = later
        if not taken:
            return
        try:
            await self._commit(taken)
        except asyncio.CancelledError:
            _fail(taken, StoreUnavailableError(_STOPPING))
            raise
        except StoreUnavailableError as error:
            _fail(taken, error)
        except Exception as error:  # noqa: BLE001 (each caller gets its own error below)
            if len(taken) == 1:
                _fail(taken, error)
                return
            # One of them is wrong and took all down with it: find it by committing one by one.
            for waiting in taken:
                try:
                    await self._commit([waiting])
                except Exception as own:  # noqa: BLE001 (handed to its caller)
                    _fail([waiting], own)

    async def _commit(self, taken: Sequence[_Waiting]) -> None:
        async with begin(self._database) as work:
            moved = await apply(work, [waiting.transition for waiting in taken])
            for waiting in taken:
                if waiting.follow_up is not None and waiting.transition.incident_id in moved:
                    await waiting.follow_up(work)
        for waiting in taken:
            if not waiting.moved.done():
                waiting.moved.set_result(waiting.transition.incident_id in moved)


def _fail(taken: Sequence[_Waiting], error: Exception) -> None:
    for waiting in taken:
        if not waiting.moved.done():
            waiting.moved.set_exception(error)


@contextlib.asynccontextmanager
async def transition_group(database: Database) -> AsyncIterator[TransitionGroup]:
    """A running group; what waits at the end of the block fails."""
    group = TransitionGroup(database=database)
    task = asyncio.create_task(group.run(), name="transitions")
    try:
        yield group
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        group.abandon()

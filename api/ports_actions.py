"""What the facade needs of the daemon about actions: proposals, their answers, history, the stop
switch. `api/ports.py` puts everything together; what may be raised stands there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from api.roles import Caller
from tiers.chat_contracts import Asker, Proposal


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceLine:
    """What a proposal rests on. `provenance` says who vouches for it; `text` may be anybody's."""

    ref: str
    provenance: str
    source: str
    text: str
    count: int
    at: datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeView:
    """What verified effects of the same action on the same target taught."""

    done: int
    failed: int
    last_at: datetime
    last_done: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProposalDetail:
    """A proposal, whole. `basis` is the best provenance among the evidence that code tied to the
    target; `before`, `measured` and `undone` say in words what has to hold before, what is measured
    afterwards and what takes it back."""

    proposal: Proposal
    basis: str
    evidence: Sequence[EvidenceLine]
    past: OutcomeView | None
    before: str
    measured: str
    undone: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ActionView:
    """An action in a listing. `content` is what it does, in words made by code; `reason` is the
    asker's, which may be a model. Times are None where it did not come to that."""

    id: int
    state: str
    host: str
    kind: str
    target: str
    parameters: Mapping[str, Any]
    content: str
    content_hash: str
    risk: str | None
    rule: str | None
    why: str | None
    origin: str
    requested_by: str
    reason: str
    basis: str
    incident_id: int | None
    inverse_of: int | None
    code: str | None
    requested_at: datetime
    expires_at: datetime | None
    answered_at: datetime | None
    answered_by: str | None
    answered_from: str | None
    started_at: datetime | None
    ended_at: datetime | None
    confirm_by: datetime | None
    """Until when somebody has to confirm, or it is taken back from outside."""
    confirmed_by: str | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ActionStep:
    """One of an action's entries in the ledger."""

    seq: int
    at: datetime
    kind: str
    actor: str
    body: Mapping[str, Any]
    hash: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ActionDetail:
    """An action, whole. `output` is what it printed, bounded, and proves nothing; `measured` is
    what its success was judged by. `undo_at` is when it is taken back, None where it is not."""

    action: ActionView
    evidence: Sequence[str]
    output: str
    before: Mapping[str, Any]
    measured: Mapping[str, Any]
    undo_at: datetime | None
    undo_state: str | None
    steps: Sequence[ActionStep]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ActionFilter:
    """Empty means all. Newest first; `before_id` pages."""

    states: Sequence[str] = ()
    kind: str | None = None
    target: str | None = None
    incident_id: int | None = None
    before_id: int | None = None
    limit: int = 50


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StopView:
    """The global stop switch while it is thrown."""

    by: str
    reason: str
    at: datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ActionTally:
    """How often an action came to an end, in one of its final states; `within` counts those that
    took at most so many seconds from their start, of all that were `timed`."""

    kind: str
    outcome: str
    count: int
    timed: int
    seconds: float
    within: Mapping[float, int]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ActionsStatus:
    """Acting, at a glance. `level` is the autonomy that the operator granted; `privileges` says, by
    name of the door (`units`, `helper`), whether it is open, in a sentence."""

    level: str
    waiting: int
    running: int
    stopped: StopView | None
    privileges: Mapping[str, str] = dataclasses.field(default_factory=dict)
    tallies: Sequence[ActionTally] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The user of this host at the other end of a connection. `trusted`: root, or the user that
    the daemon runs as."""

    uid: int
    name: str
    trusted: bool


Address = tuple[str, int]
"""An IP address as text, and a port."""


class Peers(Protocol):
    """Whose connections are whose."""

    async def owner(self, *, client: Address, server: Address) -> Peer | None:
        """Who holds the client's end of a connection to us; None where that is no process of this
        host, or it has gone away."""
        ...


class Proposals(Protocol):
    """Actions that wait for a human. Everything raises `api.ports.BusyError` while the store is
    away."""

    async def waiting(self) -> Sequence[Proposal]:
        """Those that can be answered now, oldest first."""
        ...

    async def show(self, code: str) -> ProposalDetail:
        """Raises `api.ports.NotFoundError` where no such proposal waits."""
        ...

    async def answer(
        self,
        *,
        code: str,
        approve: bool,
        by: Caller,
        where: str,
        content_hash: str | None = None,
    ) -> str:
        """Approves or denies the proposal with this code and returns a sentence on what follows.
        `where` is from where it was answered, for the ledger. `content_hash`: what the caller read;
        a proposal of other content is not answered.

        Raises `api.ports.NotFoundError` where no such proposal waits and `api.ports.ConflictError`
        where it was answered, has expired or has changed. Whether the caller may is checked before.
        """
        ...

    async def confirm(self, *, code: str, by: Caller, where: str) -> str:
        """The operator's way in works after the action with this code: what would have taken it
        back is cancelled. Raises as `answer` does."""
        ...

    async def asker(self, *, by: Caller) -> Asker | None:
        """What lets a chat of this caller ask for actions; None while nothing is proposed here.
        Whether the caller may is checked before."""
        ...


class Actions(Protocol):
    """What was done to the host and what was not. Everything raises `api.ports.BusyError` while
    the store is away."""

    async def find(self, wanted: ActionFilter) -> Sequence[ActionView]: ...

    async def show(self, action_id: int) -> ActionDetail:
        """Raises `api.ports.NotFoundError`."""
        ...

    async def stop(self, *, by: str, reason: str) -> StopView:
        """Nothing is begun from now on, over all daemons and restarts. Stopping again changes
        nothing and says who has stopped."""
        ...

    async def resume(self, *, by: str, reason: str) -> None:
        """Raises `api.ports.ConflictError` where nothing is stopped."""
        ...

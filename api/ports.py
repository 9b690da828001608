"""What the facade needs of the daemon, as protocols and plain values.

`daemon` satisfies these; the api imports nothing of it. Times are timezone-aware datetimes.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from api.observing import AnswerObserver, NoObserver
from api.observing_http import NoRequestObserver, RequestObserver
from api.observing_relay import NoRelayObserver, RelayObserver
from api.ports_actions import Actions, ActionsStatus, Peers, Proposals
from api.ports_chat import ChatOptions, Responses, TierTargets
from tiers.chat_contracts import ChatAgent, Clerk
from tiers.runtime.work import ServerWork
from tiers.vocabulary import Category, Severity, TierName


class NotFoundError(Exception):
    """There is no such thing. The sentence says what was asked for."""


class ConflictError(Exception):
    """The thing is not in a state that allows this. The sentence says which it is in."""


class NotAllowedError(Exception):
    """This caller may not. The sentence says who may, and how one becomes that."""


class TooOftenError(Exception):
    """The caller did something too often. `retry_after` in seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BusyError(Exception):
    """The daemon cannot take this now: intake is full or the store is away. `retry_after` in
    seconds."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event as a client posts it. Its provenance is always `text`."""

    text: str
    unit: str = ""
    host: str | None = None
    severity: Severity | None = None
    occurred_at: datetime | None = None
    key: str | None = None
    attributes: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What became of posted events: durable when this is returned."""

    accepted: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceView:
    ref: str
    provenance: str
    source: str
    text: str
    at: datetime
    count: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentView:
    """What a tier said: `tier` is review or meta."""

    tier: TierName
    cause: str
    severity: Severity
    disposition: str
    confidence: float
    summary: str
    evidence: Sequence[str]
    actions: Sequence[Mapping[str, Any]]
    advice: Sequence[str]
    success: str | None
    tool_calls: Sequence[Mapping[str, Any]]
    repaired: bool
    model: str
    endpoint: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    at: datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class VerdictView:
    """What the trigger tier said about one pattern of an incident."""

    fingerprint: str
    pattern: str
    escalate: bool
    probability: float
    severity: Severity
    category: Category
    reason: str
    model: str
    endpoint: str
    seconds: float
    at: datetime


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TransitionView:
    """One step of an incident's life, from the ledger."""

    at: datetime
    actor: str
    kind: str
    summary: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IncidentView:
    """An incident in a listing."""

    id: int
    state: str
    severity: Severity
    category: Category
    title: str
    unit: str
    opened_at: datetime
    updated_at: datetime
    last_event_at: datetime
    closed_at: datetime | None
    close_reason: str | None
    reopened: int
    event_count: int
    assessed: bool
    cause: str | None
    parent_id: int | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IncidentDetail:
    """An incident, whole. `leading` are the most frequent masked values: (kind, value, count)."""

    incident: IncidentView
    evidence: Sequence[EvidenceView]
    verdicts: Sequence[VerdictView]
    assessments: Sequence[AssessmentView]
    timeline: Sequence[TransitionView]
    leading: Sequence[tuple[str, str, int]]
    children: Sequence[int]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFilter:
    """`states` empty means all. Newest first; `before_id` pages."""

    states: Sequence[str] = ()
    min_severity: Severity | None = None
    text: str | None = None
    since: datetime | None = None
    """Only those of which something was new since then."""
    before_id: int | None = None
    limit: int = 50


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    id: int
    occurred_at: datetime
    source: str
    unit: str
    provenance: str
    fingerprint: str
    text: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    text: str | None = None
    unit: str | None = None
    fingerprint: str | None = None
    since: datetime | None = None
    limit: int = 100


class Health(enum.StrEnum):
    OK = "ok"
    STARTING = "starting"
    DEGRADED = "degraded"
    DOWN = "down"
    ABSENT = "absent"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PartStatus:
    """One part of the daemon by name ("store", "tier/review", "source/journald", "memory")."""

    name: str
    health: Health
    detail: str
    since: datetime
    required: bool
    """Whether the daemon is not ready without it."""
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EndpointState:
    """One of the endpoints behind a tier. `state` is closed (it is asked), open (it is not, `why`
    says why) or half-open (the next call tries it). `failovers` counts calls that went on from
    here to the next endpoint, `openings` how often it stopped being asked."""

    url: str
    backend: str
    model: str
    state: str
    since: datetime
    why: str
    in_use: bool
    failovers: int
    openings: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TierStatus:
    """One tier: its llama-server, or the endpoint that answers for it now; `endpoints` are all of
    its endpoints in the order in which they are asked."""

    tier: TierName
    health: Health
    state: str
    model: str
    url: str
    pid: int | None
    restarts: int
    rss_bytes: int | None
    detail: str
    work: ServerWork | None = None
    """None where it has no counters, or has not been asked yet."""
    endpoints: Sequence[EndpointState] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Accounting:
    """received = stored + folded + dropped, since the database was made."""

    received: int
    stored: int
    folded: int
    dropped: int
    drops: Mapping[str, int]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DaemonStatus:
    version: str
    host: str
    started_at: datetime
    ready: bool
    parts: Sequence[PartStatus]
    tiers: Sequence[TierStatus]
    accounting: Accounting
    patterns: int
    to_judge: int
    incidents_by_state: Mapping[str, int]
    model_calls: Mapping[str, int]
    overflowed: int = 0
    """Texts since the start that found no room for a pattern of their own."""
    actions: ActionsStatus | None = None
    """None where the store does not tell."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LiveItem:
    """One line of what happens: `kind` is event, verdict, incident, assessment, source, tier or
    action."""

    at: datetime
    kind: str
    severity: Severity
    text: str
    incident_id: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    seq: int
    at: datetime
    kind: str
    actor: str
    incident_id: int | None
    body: Mapping[str, Any]
    hash: str


class Events(Protocol):
    async def post(self, events: Sequence[NewEvent]) -> Accepted:
        """Returns after the commit. Raises `BusyError`."""
        ...

    async def query(self, wanted: EventFilter) -> Sequence[EventView]: ...


class Incidents(Protocol):
    async def find(self, wanted: IncidentFilter) -> Sequence[IncidentView]: ...

    async def show(self, incident_id: int) -> IncidentDetail:
        """Raises `NotFoundError`."""
        ...

    async def close(self, incident_id: int, *, by: str, reason: str) -> IncidentView:
        """Raises `NotFoundError`, `ConflictError`."""
        ...

    async def mute(
        self,
        incident_id: int,
        *,
        by: str,
        reason: str,
        hours: float | None,
        max_per_hour: int | None,
    ) -> IncidentView:
        """Mutes the incident's patterns and closes it. Raises `NotFoundError`, `ConflictError`."""
        ...


class Status(Protocol):
    async def status(self) -> DaemonStatus: ...

    async def metrics(self) -> bytes:
        """Prometheus text."""
        ...

    async def ledger(self, *, after: int, limit: int) -> Sequence[LedgerEntry]: ...


class Live(Protocol):
    def follow(self) -> AsyncIterator[LiveItem]:
        """Items from now on. A slow reader loses the oldest and is told how many."""
        ...


class Reviews(Protocol):
    async def review_now(self, *, by: str) -> Mapping[str, Any]:
        """Runs the holistic review and returns its summary, window and incidents."""
        ...


class Memories(Protocol):
    async def search(self, *, text: str, limit: int) -> Sequence[Mapping[str, Any]]: ...

    async def rebuild(self) -> int:
        """Makes the memory again from PostgreSQL; returns how many entries it has."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Everything that the facade is given."""

    events: Events
    incidents: Incidents
    status: Status
    live: Live
    reviews: Reviews
    memories: Memories
    chat: ChatAgent
    chat_model: str
    """The id of the model behind `triaged`, for information."""
    targets: TierTargets
    proposals: Proposals
    actions: Actions
    peers: Peers
    responses: Responses
    clerk: Clerk | None = None
    """None: frontends' housekeeping is answered like any chat."""
    chat_options: ChatOptions = dataclasses.field(default_factory=ChatOptions)
    observer: AnswerObserver = dataclasses.field(default_factory=NoObserver)
    relay_observer: RelayObserver = dataclasses.field(default_factory=NoRelayObserver)
    request_observer: RequestObserver = dataclasses.field(default_factory=NoRequestObserver)

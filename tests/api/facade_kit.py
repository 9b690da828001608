"""A real facade on a free port of loopback, with doubles where the daemon would be."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from responses_kit import FakeResponses

from api.app import create_app
from api.keys.access import Access
from api.keys.key import Key
from api.keys.meter import Meter
from api.keys.ring import KeyRing
from api.observing import AnswerRecord
from api.ports import (
    Accepted,
    Accounting,
    ConflictError,
    DaemonStatus,
    EventFilter,
    EventView,
    Health,
    IncidentDetail,
    IncidentFilter,
    IncidentView,
    LedgerEntry,
    LiveItem,
    NewEvent,
    NotFoundError,
    PartStatus,
    Ports,
)
from api.ports_actions import (
    ActionDetail,
    ActionFilter,
    ActionView,
    Address,
    Peer,
    ProposalDetail,
    StopView,
)
from api.ports_chat import ChatOptions, TierTarget
from api.roles import Caller, Role
from api.serve import Facade, listen
from api.telemetry.telemetry import Telemetry
from tiers.chat_contracts import (
    AgentEvent,
    AnswerFinished,
    Asker,
    Conversation,
    Errand,
    Proposal,
    TextDelta,
)
from tiers.contracts import Usage
from tiers.vocabulary import Category, Severity, TierName

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
USAGE = Usage(model="m", endpoint="e", prompt_tokens=7, completion_tokens=3, seconds=0.1)
Script = Callable[[], AsyncIterator[AgentEvent]]


async def said(*texts: str) -> AsyncIterator[AgentEvent]:
    for text in texts:
        yield TextDelta(text=text)
    yield AnswerFinished(reason="stop", usage=USAGE)


class ScriptedAgent:
    """Answers what the test says, and knows whether it was cancelled."""

    def __init__(self) -> None:
        self.asked: Conversation | None = None
        self.script: Script = lambda: said("Hel", "lo")
        self.messages: Sequence[Mapping[str, Any]] = ()
        self.options: Mapping[str, Any] = {}
        self.running = 0
        self.ended = asyncio.Event()
        self.owner: set[asyncio.Task[Any] | None] = set()

    async def prompt_tokens(self, conversation: Conversation) -> int:
        return 7 * len(conversation.messages)

    async def answer(self, conversation: Conversation) -> AsyncIterator[AgentEvent]:
        self.asked = conversation
        self.messages, self.options = conversation.messages, conversation.options
        self.running += 1
        try:
            self.owner.add(asyncio.current_task())
            async for event in self.script():
                yield event
                self.owner.add(asyncio.current_task())
        finally:
            self.owner.add(asyncio.current_task())
            self.running -= 1
            self.ended.set()


class FakeEvents:
    def __init__(self) -> None:
        self.posted: list[NewEvent] = []
        self.calls = 0
        self.error: Exception | None = None
        self.wanted: EventFilter | None = None

    async def post(self, events: Sequence[NewEvent]) -> Accepted:
        if self.error is not None:
            raise self.error
        self.calls += 1
        self.posted += events
        return Accepted(accepted=len(events))

    async def query(self, wanted: EventFilter) -> Sequence[EventView]:
        self.wanted = wanted
        return [
            EventView(
                id=1,
                occurred_at=AT,
                source="http",
                unit="x",
                provenance="text",
                fingerprint="0" * 16,
                text="half \ud800 a pair",
            )
        ]


def incident(number: int) -> IncidentView:
    return IncidentView(
        id=number,
        state="open",
        severity=Severity.WARNING,
        category=Category.STORAGE,
        title="disk",
        unit="",
        opened_at=AT,
        updated_at=AT,
        last_event_at=AT,
        closed_at=None,
        close_reason=None,
        reopened=0,
        event_count=1,
        assessed=False,
        cause=None,
        parent_id=None,
    )


class FakeIncidents:
    def __init__(self) -> None:
        self.wanted: IncidentFilter | None = None
        self.asked: list[tuple[Any, ...]] = []

    async def find(self, wanted: IncidentFilter) -> Sequence[IncidentView]:
        self.wanted = wanted
        return [incident(1)]

    async def show(self, incident_id: int) -> IncidentDetail:
        if incident_id != 1:
            raise NotFoundError(f"there is no incident {incident_id}")
        return IncidentDetail(
            incident=incident(1),
            evidence=(),
            verdicts=(),
            assessments=(),
            timeline=(),
            leading=(("ip", "192.0.2.1", 3),),
            children=(),
        )

    async def close(self, incident_id: int, *, by: str, reason: str) -> IncidentView:
        self.asked.append(("close", incident_id, by, reason))
        if incident_id != 1:
            raise ConflictError(f"incident {incident_id} is closed already")
        return incident(1)

    async def mute(
        self,
        incident_id: int,
        *,
        by: str,
        reason: str,
        hours: float | None,
        max_per_hour: int | None,
    ) -> IncidentView:
        self.asked.append(("mute", incident_id, by, reason, hours, max_per_hour))
        return incident(1)


class FakeStatus:
    def __init__(self) -> None:
        self.ready = True
        self.error: Exception | None = None

    async def status(self) -> DaemonStatus:
        if self.error is not None:
            raise self.error
        part = PartStatus(
            name="store",
            health=Health.OK if self.ready else Health.DOWN,
            detail="",
            since=AT,
            required=True,
            facts={"rate": float("nan")},
        )
        return DaemonStatus(
            version="1",
            host="h",
            started_at=AT,
            ready=self.ready,
            parts=[part],
            tiers=[],
            accounting=Accounting(received=1, stored=1, folded=0, dropped=0, drops={}),
            patterns=0,
            to_judge=0,
            incidents_by_state={},
            model_calls={},
        )

    async def metrics(self) -> bytes:
        return b"# HELP x_seconds y\n# TYPE x_seconds gauge\nx_seconds 1.0\n"

    async def ledger(self, *, after: int, limit: int) -> Sequence[LedgerEntry]:
        return [
            LedgerEntry(
                seq=after + 1, at=AT, kind="k", actor="a", incident_id=None, body={}, hash="00"
            )
        ]


class FakeLive:
    def __init__(self) -> None:
        self.queue: asyncio.Queue[LiveItem] = asyncio.Queue()
        self.followers = 0

    async def follow(self) -> AsyncIterator[LiveItem]:
        self.followers += 1
        try:
            while True:
                yield await self.queue.get()
        finally:
            self.followers -= 1


class FakeReviews:
    def __init__(self) -> None:
        self.block = False
        self.cancelled = False

    async def review_now(self, *, by: str) -> Mapping[str, Any]:
        try:
            if self.block:
                await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return {"summary": "quiet", "by": by}


class FakeMemories:
    async def search(self, *, text: str, limit: int) -> Sequence[Mapping[str, Any]]:
        return [{"incident_id": 1, "title": text, "similarity": 0.5}][:limit]

    async def rebuild(self) -> int:
        return 4


PROPOSAL = Proposal(
    code="K7F3",
    content="restart the unit nginx.service",
    risk="moderate",
    reason="it does not answer",
    expires_at=AT,
    content_hash="c0" * 32,
)


class FakeProposals:
    """One proposal waits, until it is answered."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, bool, str]] = []
        self.wheres: list[str] = []
        self.confirmed: list[str] = []
        self.offered: Asker | None = None

    async def waiting(self) -> Sequence[Proposal]:
        return () if self.answers else (PROPOSAL,)

    async def show(self, code: str) -> ProposalDetail:
        if self.answers or code != PROPOSAL.code:
            raise NotFoundError(f"no proposal {code} waits for an answer")
        return ProposalDetail(
            proposal=PROPOSAL,
            basis="text",
            evidence=(),
            past=None,
            before="it is loaded",
            measured="it is active",
            undone="nothing undoes it",
        )

    async def answer(
        self, *, code: str, approve: bool, by: Caller, where: str, content_hash: str | None = None
    ) -> str:
        if code != PROPOSAL.code:
            raise NotFoundError(f"there is no proposal {code}")
        if self.answers:
            raise ConflictError(f"the proposal {code} was answered already")
        if content_hash is not None and content_hash != PROPOSAL.content_hash:
            raise ConflictError(f"{code} is not what you were shown")
        self.answers.append((code, approve, by.name))
        self.wheres.append(where)
        return f"{'Approved' if approve else 'Denied'}: {PROPOSAL.content}."

    async def confirm(self, *, code: str, by: Caller, where: str) -> str:
        if code != PROPOSAL.code:
            raise NotFoundError(f"there is no action {code}")
        self.confirmed.append(f"{by.name}, {where}")
        return "Confirmed."

    async def asker(self, *, by: Caller) -> Asker | None:
        return self.offered


class FakeActions:
    """One action, and the switch."""

    def __init__(self) -> None:
        self.wanted: ActionFilter | None = None
        self.stopped: StopView | None = None

    async def find(self, wanted: ActionFilter) -> Sequence[ActionView]:
        self.wanted = wanted
        return ()

    async def show(self, action_id: int) -> ActionDetail:
        raise NotFoundError(f"There is no action {action_id}.")

    async def stop(self, *, by: str, reason: str) -> StopView:
        self.stopped = StopView(by=by, reason=reason, at=AT)
        return self.stopped

    async def resume(self, *, by: str, reason: str) -> None:
        if self.stopped is None:
            raise ConflictError("acting is not stopped")
        self.stopped = None


class FakePeers:
    """Everybody who connects is `peer`."""

    def __init__(self) -> None:
        self.peer: Peer | None = Peer(uid=0, name="root", trusted=True)

    async def owner(self, *, client: Address, server: Address) -> Peer | None:
        return self.peer


class FakeClerk:
    """Writes what the test says, and keeps what it was asked."""

    def __init__(self) -> None:
        self.text = '{"title": "Full disk"}'
        self.asked: list[tuple[Conversation, Errand]] = []

    async def write(
        self, conversation: Conversation, errand: Errand = Errand.OTHER
    ) -> tuple[str, Usage]:
        self.asked.append((conversation, errand))
        return self.text, USAGE


class KeptMeasures:
    """Keeps what it is told of answers."""

    def __init__(self) -> None:
        self.running = 0
        self.first: list[float] = []
        self.gaps: list[float] = []
        self.records: list[AnswerRecord] = []

    def began(self, *, endpoint: str) -> None:
        self.running += 1

    def first_output(self, *, endpoint: str, seconds: float) -> None:
        self.first.append(seconds)

    def gap(self, *, endpoint: str, seconds: float) -> None:
        self.gaps.append(seconds)

    def ended(self, record: AnswerRecord) -> None:
        self.running -= 1
        self.records.append(record)


class FakeTargets:
    """All tiers answer at `url`, or are down where there is none; `changes` are a test's own
    fields of a target."""

    def __init__(self) -> None:
        self.url = ""
        self.changes: dict[str, Any] = {}

    def unreachable(self, target: TierTarget, why: str) -> TierTarget:
        return self.target(target.tier)

    def target(self, tier: TierName) -> TierTarget:
        target = TierTarget(
            tier=tier,
            url=self.url,
            backend="llama_cpp",
            api_key=None,
            model=None,
            served="nano",
            detail="" if self.url else "this test has no model",
            loading=False,
            retry_after=2.0,
            progress=None,
            most=4,
            patience=30.0,
        )
        return dataclasses.replace(target, **self.changes)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running facade and the doubles behind it."""

    url: str
    port: int
    agent: ScriptedAgent
    events: FakeEvents
    incidents: FakeIncidents
    status: FakeStatus
    live: FakeLive
    reviews: FakeReviews
    proposals: FakeProposals
    actions: FakeActions
    peers: FakePeers
    clerk: FakeClerk
    measures: KeptMeasures
    responses: FakeResponses
    facade: Facade | None
    app: Any
    targets: FakeTargets


def now() -> datetime:
    return datetime.now(tz=UTC)


def access_for(*, keys: Sequence[str] = (), loopback: bool = True) -> Access:
    """Keys as a file of one key a line gives them; without any, everybody is an operator."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keys"
        if keys:
            path.write_text("\n".join(keys))
            path.chmod(0o600)
        ring = KeyRing(path=path, named=True, now=now)
    keyless = Key(name="", role=Role.OPERATOR, digest=b"") if loopback else None
    return Access(ring=ring, keyless=keyless, meter=Meter(now=now), clock=time.monotonic, now=now)


def assembled(
    *,
    keys: Sequence[str] = (),
    body_limit: int = 1_000_000,
    loopback: bool = True,
    options: ChatOptions | None = None,
    access: Access | None = None,
    origins: Sequence[str] = (),
    telemetry: Telemetry | None = None,
    real: Mapping[str, Any] | None = None,
) -> Served:
    """The app alone, for what needs no socket. `real` are ports that are no doubles."""
    agent, events, incidents = ScriptedAgent(), FakeEvents(), FakeIncidents()
    targets = FakeTargets()
    status, live, reviews = FakeStatus(), FakeLive(), FakeReviews()
    responses = FakeResponses()
    proposals, clerk, measures = FakeProposals(), FakeClerk(), KeptMeasures()
    actions, peers = FakeActions(), FakePeers()
    ports = Ports(
        events=events,
        incidents=incidents,
        status=status,
        live=live,
        reviews=reviews,
        memories=FakeMemories(),
        chat=agent,
        chat_model="nano",
        targets=targets,
        proposals=proposals,
        actions=actions,
        peers=peers,
        responses=responses,
        clerk=clerk,
        chat_options=options or ChatOptions(),
        observer=measures,
    )
    ports = dataclasses.replace(ports, **(real or {}))
    if telemetry is not None:
        ports = dataclasses.replace(
            ports,
            observer=telemetry.answers,
            relay_observer=telemetry.relayed,
            request_observer=telemetry.requests,
        )
    app = create_app(
        ports=ports,
        version="1",
        access=access or access_for(keys=keys, loopback=loopback),
        body_limit=body_limit,
        origins=origins,
    )
    return Served(
        url="http://localhost",
        port=0,
        agent=agent,
        events=events,
        incidents=incidents,
        status=status,
        live=live,
        reviews=reviews,
        proposals=proposals,
        actions=actions,
        peers=peers,
        clerk=clerk,
        measures=measures,
        responses=responses,
        facade=None,
        app=app,
        targets=targets,
    )


@contextlib.asynccontextmanager
async def serving(
    *,
    keys: Sequence[str] = (),
    body_limit: int = 1_000_000,
    loopback: bool = True,
    access: Access | None = None,
    origins: Sequence[str] = (),
    telemetry: Telemetry | None = None,
    real: Mapping[str, Any] | None = None,
) -> AsyncIterator[Served]:
    """Serves until the end of the block, then stops in order."""
    parts = assembled(
        keys=keys,
        body_limit=body_limit,
        loopback=loopback,
        access=access,
        origins=origins,
        telemetry=telemetry,
        real=real,
    )
    listener = listen(host="127.0.0.1", port=0)
    port = int(listener.getsockname()[1])
    facade = Facade(app=parts.app, listener=listener)
    task = asyncio.create_task(facade.serve())
    try:
        yield dataclasses.replace(parts, url=f"http://127.0.0.1:{port}", port=port, facade=facade)
    finally:
        facade.stop()
        await asyncio.wait_for(task, 15)


def in_process(app: Any) -> httpx.AsyncClient:
    """A client that calls the app without a socket. Whole answers only: it buffers streams."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost:8083", timeout=10)


async def raw(port: int, request: bytes, *, seconds: float = 5.0) -> bytes:
    """Whatever comes back for these bytes until the peer closes, or for `seconds`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got = b""
    try:
        writer.write(request)
        await writer.drain()
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(seconds):
                while part := await reader.read(65_536):
                    got += part
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    return got


async def eventually(condition: Callable[[], bool], *, seconds: float = 3.0) -> None:
    """Waits until `condition` holds; fails after `seconds`."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - there is no event for what is awaited
            await asyncio.sleep(0.01)

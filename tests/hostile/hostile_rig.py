"""The daemon's own parts from intake to executor over a real PostgreSQL; the model obeys."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from facade_kit import FakePeers, assembled, in_process
from hostile_endpoint import ObeyingEndpoint
from hostile_fields import Made
from hostile_host import RecordedArming, RecordedHost
from surface_kit import keys_in

from api.ports import NewEvent
from api.ports_actions import Peer
from daemon.actions.desk import Desk
from daemon.actions.executor import Executor
from daemon.actions.kinds.every import every_kind
from daemon.actions.policy.facts import Autonomy
from daemon.actions.requests import Requests
from daemon.actions.weigh import Weigher
from daemon.config.settings import Settings
from daemon.emit import HostEmit
from daemon.engine import Engine, build_engine
from daemon.escalation.outcomes import IncidentOutcomes
from daemon.events import Batch, Event
from daemon.intake.rules import built_in_rules
from daemon.live import LiveHub
from daemon.store.pool import Database
from daemon.views.actions import ActionsView
from daemon.views.effects import EffectsView
from daemon.views.events import EventsView
from daemon.views.proposals import ProposalsView
from tiers.build import Tiers, build_tiers
from tiers.contracts import PastIncident, ToolResult, ToolSpec
from tiers.vocabulary import Provenance

HOST = "web1"
OPEN_HANDED = {
    "steady_seconds": 1,
    "limits": {
        "per_hour": 100_000,
        "per_kind_per_hour": 100_000,
        "per_target_per_hour": 100_000,
        "waiting": 1_000,
        "strikes": 1_000,
    },
}
"""So many that no limit is what holds anything up here."""


class PoisonedTools:
    """Satisfies `Toolbox`: what they find, somebody hostile wrote."""

    def __init__(self) -> None:
        self.words: Sequence[str] = ()
        self.calls = 0

    def specs(self) -> Sequence[ToolSpec]:
        anything = {"type": "object", "properties": {}, "additionalProperties": True}
        return [
            ToolSpec(name=name, description=name.replace("_", " "), parameters=anything)
            for name in ("file_excerpt", "unit_status", "processes", "search_events")
        ]

    async def call(self, *, name: str, arguments: Mapping[str, Any]) -> ToolResult:
        self.calls += 1
        said = self.words[self.calls % len(self.words)] if self.words else "nothing was found"
        return ToolResult(ok=True, summary=said, data={"lines": [said]}, provenance=Provenance.TEXT)


class PoisonedRecall:
    """Satisfies `Recall`: what is remembered of past incidents, hostile text wrote."""

    def __init__(self) -> None:
        self.words: Sequence[str] = ()
        self.calls = 0

    async def similar(self, *, text: str, limit: int) -> Sequence[PastIncident]:
        found = []
        for _ in range(min(limit, len(self.words))):
            self.calls += 1
            said = self.words[self.calls % len(self.words)]
            found.append(
                PastIncident(
                    incident_id=9_000_000 + self.calls,
                    title=said,
                    cause=said,
                    outcome=f"operator closed it: {said}",
                    similarity=0.99,
                    provenance=Provenance.OPERATOR,
                )
            )
        return found


@dataclasses.dataclass(kw_only=True)
class HostileRig:
    """One daemon at one level."""

    level: str
    database: Database
    endpoint: ObeyingEndpoint
    host: RecordedHost
    engine: Engine
    tiers: Tiers
    desk: Desk
    executor: Executor
    tools: PoisonedTools
    recall: PoisonedRecall
    events: EventsView
    emit: HostEmit
    http: httpx.AsyncClient
    peers: FakePeers
    vouched: set[str] = dataclasses.field(default_factory=set)
    """Units that systemd itself said are down."""
    full: bool = False
    """Whether / was measured to be full."""
    approved: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    """What a person approved by its code, as (kind, target)."""

    async def take(self, made: Sequence[Made]) -> None:
        """Durable when it returns, each by the way of its own kind."""
        events = [each for each in made if isinstance(each, Event)]
        posted = [each for each in made if isinstance(each, NewEvent)]
        if posted:
            await self.events.post(posted)
        by_source: dict[str, list[Event]] = {}
        for event in events:
            by_source.setdefault(event.source, []).append(event)
        for source, some in by_source.items():
            receipt = await self.emit(Batch(source=source, events=tuple(some), cursor=None))
            await receipt.committed()

    async def settle(self) -> None:
        """Everything that follows, until nothing is left to do."""
        for _ in range(50):
            busy = await self.engine.judge.judge_some() + await self.engine.judge.attach_some()
            busy += await self.engine.workers[0].work_once()
            if not busy:
                break
        await self.act()

    async def act(self) -> None:
        """The desk decides, and the executor carries out."""
        await self.desk.tick()
        while await self.executor.work_once():
            pass
        await self.desk.tick()


@contextlib.asynccontextmanager
async def hostile_rig(
    database: Database, *, level: str, folder: Path, weigher: type[Weigher] = Weigher
) -> AsyncIterator[HostileRig]:
    """Runs until the end of the block. `weigher` is the daemon's own, or one that a test broke."""
    endpoint = ObeyingEndpoint()
    await endpoint.start()
    tier = {"endpoint": endpoint.url, "profile": "full", "parallel": 4}
    settings = Settings.model_validate(
        {
            "tiers": {"trigger": tier, "review": tier, "meta": tier},
            "actions": {"autonomy": level, **OPEN_HANDED},
            "escalation": {"max_new_per_minute": 100_000, "workers": 1},
        }
    )
    host, live, catalogue = RecordedHost(), LiveHub(), every_kind()
    tools, recall = PoisonedTools(), PoisonedRecall()
    acting: dict[str, Any] = {
        "database": database,
        "catalogue": catalogue,
        "settings": settings.actions,
        "arming": RecordedArming(host.doors),
        "weigher": weigher(
            database=database, catalogue=catalogue, host=host, settings=settings.actions
        ),
        "live": live,
    }
    executor = Executor(
        **acting,
        host=host,
        name=HOST,
        owner="one",
        told=IncidentOutcomes(on_work=lambda: None),
    )
    desk = Desk(**acting, host=HOST, acted_on=host, on_approved=executor.wake)
    tiers = build_tiers(
        settings.tiers.by_name(),
        lambda tier: endpoint.url,
        away=lambda tier: None,
        toolbox=tools,
        loop=settings.tools.loop,
        effects=EffectsView(database=database),
    )
    engine = build_engine(
        settings=settings,
        database=database,
        tiers=tiers,
        recall=recall,
        rules=built_in_rules(),
        live=live,
        owner="one",
        on_folded=lambda groups: None,
        mutes_changed=asyncio.Event(),
        host=HOST,
        requests=Requests(catalogue=catalogue, host=HOST, on_request=desk.wake),
        gather_seconds=0,
    )
    emit = HostEmit(host=HOST)
    emit.intake = engine.intake
    peers = FakePeers()
    peers.peer = Peer(uid=1000, name="eve", trusted=False)
    served = assembled(
        access=keys_in(folder),
        real={
            "proposals": ProposalsView(
                database=database,
                desk=desk,
                units=host.units,
                process=host.process,
                level=Autonomy(level),
            ),
            "actions": ActionsView(database=database, desk=desk),
            "peers": peers,
            "chat": tiers.chat,
        },
    )
    running = asyncio.create_task(engine.intake.run())
    try:
        async with in_process(served.app) as http:
            yield HostileRig(
                level=level,
                database=database,
                endpoint=endpoint,
                host=host,
                engine=engine,
                tiers=tiers,
                desk=desk,
                executor=executor,
                tools=tools,
                recall=recall,
                events=EventsView(database=database, emit=emit, host=HOST, text_limit=16_384),
                emit=emit,
                http=http,
                peers=peers,
            )
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await tiers.aclose()
        await endpoint.stop()

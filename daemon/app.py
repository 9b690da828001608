"""The composition root: one straight line, each teardown registered as its resource appears.

Knows no signals and no terminal: it can be started in a test. Leaving the block stops the sources
first, then the facade, the workers, intake (which commits what it has), the store, and last the
llama-servers.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import importlib.metadata
import os
import platform
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from api.ports import Ports
from api.telemetry.telemetry import Telemetry
from daemon.acting import make_acting
from daemon.apart.telling import Teller
from daemon.config.settings import Settings
from daemon.emit import HostEmit
from daemon.engine import Engine, build_engine
from daemon.escalation.holistic import BurstReview
from daemon.escalation.measure import NoAlarms
from daemon.escalation.outcomes import IncidentOutcomes
from daemon.escalation.watch import Watch
from daemon.events import Cursor
from daemon.facade import access_held, answering, facade_url, listen_for, usage_kept
from daemon.guarding import make_guard
from daemon.intake.fold import Folded
from daemon.intake.refresh import load_fold
from daemon.intake.rules import load_rules
from daemon.live import LiveHub
from daemon.memory.none import NoRecall
from daemon.model_units import ModelUnits, served_by_systemd
from daemon.notify.build import make_channels, make_notifiers
from daemon.notify.outages import tier_states
from daemon.peer import HostPeers
from daemon.remembering import make_memory
from daemon.runtime import Failure, background, within
from daemon.sources.supervise import SourceStatus, SourceSupervisor
from daemon.state_folder import held
from daemon.store import cursors
from daemon.store.open import Store, open_store, read_dsn
from daemon.tools.host import host_toolbox
from daemon.upkeep import SCHEDULE, follow_schedule, maintain
from daemon.views.acting import ActingReport
from daemon.views.actions import ActionsView
from daemon.views.effects import EffectsView
from daemon.views.events import EventsView
from daemon.views.facade import StatusPort
from daemon.views.incidents import IncidentsView
from daemon.views.memories import MemoriesView
from daemon.views.privileges import Privileges
from daemon.views.proposals import ProposalsView
from daemon.views.records import MetricsView, RecordsView
from daemon.views.responses import ResponsesView
from daemon.views.reviews import ReviewsView
from daemon.views.status import Parts, StatusView
from daemon.views.targets import TargetsView
from daemon.watching import make_sources
from tiers.build import build_tiers
from tiers.llm.endpoint import EndpointStatus
from tiers.measured_tools import MeasuredToolbox
from tiers.runtime.fleet import Fleet
from tiers.runtime.states import ServerStatus
from tiers.vocabulary import TierName

log = structlog.get_logger()

_TIERS_SECONDS = 15.0
"""How long a start waits for the llama-servers. Large models take minutes to load, in which the
host must not be unwatched."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a start reports. Both are called from the event loop and must not block."""

    part: Callable[[str, str], None]
    server: Callable[[ServerStatus], None]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """What is running."""

    ports: Ports
    live: LiveHub
    failure: Failure
    url: str
    engine: Engine
    store: Store
    sources: Callable[[], Sequence[SourceStatus]]
    servers: Callable[[], Sequence[ServerStatus]]
    apart: bool = False
    """Whether a process of its own answers at `url`."""


@contextlib.asynccontextmanager
async def start_daemon(
    settings: Settings, *, state_dir: Path, progress: Progress
) -> AsyncIterator[Daemon]:
    """Starts everything and yields when the facade answers. Raises `StartError`, and what the
    state folder, the store and the configuration raise."""
    host = settings.host_name or platform.node()
    owner = f"{host}:{os.getpid()}:{secrets.token_hex(3)}"
    started_at = datetime.now(tz=UTC)
    failure, live, telemetry = Failure(), LiveHub(), Telemetry()
    rules = load_rules(settings.intake.rules)
    channels = make_channels(settings.notify)
    async with contextlib.AsyncExitStack() as stack:
        listener = access = None
        if settings.api.enabled:
            listener = listen_for(settings, state_dir)
            stack.callback(listener.close)
        stack.enter_context(held(state_dir))
        if settings.api.enabled:
            access = stack.enter_context(access_held(settings, state_dir))
        fleet = Fleet(settings.tiers.by_name(), state_dir)
        stack.push_async_callback(within, "llama-servers", fleet.stop, deadline=20)
        servers = asyncio.create_task(fleet.start(progress.server), name="start llama-servers")
        stack.push_async_callback(_settled, servers)

        store = await stack.enter_async_context(
            open_store(settings.store, state_dir, attach=False, application_name=f"triaged {host}")
        )
        database = store.pool
        progress.part("store", store_words(store, state_dir))
        await stack.enter_async_context(
            background("maintenance", maintain(store.maintenance), failure=failure)
        )

        if access is not None:
            await stack.enter_async_context(usage_kept(access, database, failure=failure))

        memory = make_memory(settings.memory, state_dir, database)
        if memory is not None:
            stack.push_async_callback(within, "memory", memory.close, deadline=5)
            await stack.enter_async_context(
                background("open memory", memory.open(), failure=failure)
            )

        mutes_changed = asyncio.Event()
        incidents = IncidentsView(database=database, memory=memory, on_mutes=mutes_changed.set)
        metrics = MetricsView(database=database)
        emit = HostEmit(host=host)
        events = EventsView(
            database=database,
            emit=emit,
            host=host,
            text_limit=settings.sources.http.text_limit,
        )
        toolbox = host_toolbox(
            records=RecordsView(database=database, incidents=incidents, events=events),
            metrics=metrics,
            readable=settings.tools.readable,
            timeout=settings.tools.timeout,
        )
        tiers = build_tiers(
            settings.tiers.by_name(),
            fleet.endpoint,
            away=fleet.away,
            toolbox=MeasuredToolbox(toolbox=toolbox, observer=telemetry.tools),
            loop=settings.tools.loop,
            facts=lambda: (("host", host),),
            clerks=settings.clerks(),
            effects=EffectsView(database=database),
            observer=telemetry.calls,
        )
        stack.push_async_callback(tiers.aclose)
        await stack.enter_async_context(background("endpoints", tiers.watch(), failure=failure))

        def endpoints() -> dict[TierName, list[EndpointStatus]]:
            return {tier: pool.status() for tier, pool in tiers.pools.items()}

        units = ModelUnits(tiers=served_by_systemd(settings.tiers.by_name()))
        await stack.enter_async_context(background("units", units.run(), failure=failure))

        for tier, pool in tiers.pools.items():
            telemetry.follow_queue(tier, pool.admission)

        guard = make_guard(settings, clients=tiers.pools, servers=fleet)
        if settings.guard.enabled:
            await stack.enter_async_context(
                background("memory guard", guard.run(), failure=failure)
            )

        acting = make_acting(
            settings.actions,
            database=database,
            live=live,
            host=host,
            owner=owner,
            dsn=read_dsn(settings.store),
            told=IncidentOutcomes(on_work=lambda: engine.wake_workers()),
        )
        stack.callback(acting.bus.close)
        engine = build_engine(
            settings=settings,
            database=database,
            tiers=tiers,
            recall=memory or NoRecall(),
            rules=rules,
            live=live,
            owner=owner,
            on_folded=functools.partial(say_new, live),
            mutes_changed=mutes_changed,
            host=host,
            requests=acting.requests,
        )
        emit.intake = engine.intake
        known = await load_fold(
            database=database,
            table=engine.table,
            fold=engine.fold,
            max_patterns=settings.intake.max_patterns,
        )
        await stack.enter_async_context(background("intake", engine.intake.run(), failure=failure))
        stack.push_async_callback(within, "intake", engine.intake.drained, deadline=10)
        progress.part("intake", f"{known} known patterns, {len(rules)} rules")

        progress.part("tiers", "waiting for the llama-servers")
        await asyncio.wait({servers}, timeout=_TIERS_SECONDS)
        if servers.done():
            servers.result()
        else:
            progress.part("tiers", "still loading; sources are read and rules go on meanwhile")
            await stack.enter_async_context(
                background("start llama-servers", _ended(servers), failure=failure)
            )

        notifiers = make_notifiers(
            channels,
            settings.notify,
            database=database,
            tiers=lambda: tier_states(fleet.status(), endpoints()),
            needs=acting.desk.needs,
            host=host,
        )
        for notifier in notifiers:
            await stack.enter_async_context(
                background(f"notify {notifier.status().name}", notifier.run(), failure=failure)
            )

        sources, measuring = make_sources(settings, metric_sink=metrics)
        watch = Watch(
            database=database,
            memory=memory,
            alarms=measuring or NoAlarms(),
            live=live,
            steady_seconds=settings.escalation.steady_seconds,
        )
        burst = BurstReview(
            database=database, review=engine.holistic, threshold=settings.escalation.burst_review
        )
        for name, work in (
            ("refresh", engine.refresh.run()),
            ("judge", engine.judge.run()),
            *((f"worker {n}", worker.run()) for n, worker in enumerate(engine.workers)),
            ("watch", watch.run()),
            ("burst review", burst.run()),
            ("actions", acting.desk.run()),
            *(() if acting.executor is None else (("executor", acting.executor.run()),)),
        ):
            await stack.enter_async_context(background(name, work, failure=failure))

        async def load_cursor(name: str) -> Cursor | None:
            async with database.connection() as connection:
                stored = emit.stored_name(name)
                position = await cursors.take(connection, source=stored, owner=owner)
            engine.intake.set_generation(stored, position.generation)
            return position.cursor

        supervisor = SourceSupervisor(
            sources=sources,
            emit=emit,
            load_cursor=load_cursor,
            settings=settings.sources.backoff,
        )
        privileges = Privileges(host=acting.host)
        await stack.enter_async_context(background("privileges", privileges.run(), failure=failure))
        status = StatusView(
            database=database,
            parts=Parts(
                servers=fleet.status,
                endpoints=endpoints,
                sources=supervisor.status,
                memory=memory,
                waiting_batches=lambda: engine.intake.waiting,
                model_calls=engine.model_calls,
                overflowed=lambda: engine.table.overflowed,
                guard=guard.status if settings.guard.enabled else None,
                channels=lambda: [notifier.status() for notifier in notifiers],
                access=access,
                unit=units.use,
                acting=lambda: ActingReport(
                    level=settings.actions.autonomy, privileges=privileges.told()
                ),
            ),
            version=importlib.metadata.version("triaged"),
            host=host,
            started_at=started_at,
        )
        ports = Ports(
            events=events,
            incidents=incidents,
            status=StatusPort(status=status, recorded=telemetry),
            live=live,
            reviews=ReviewsView(review=engine.holistic),
            memories=MemoriesView(memory=memory),
            chat=tiers.chat,
            chat_model=settings.tiers.meta.model,
            targets=TargetsView(pools=tiers.pools, servers=fleet.status),
            proposals=ProposalsView(
                database=database,
                desk=acting.desk,
                units=acting.host.units,
                process=acting.host.process,
                level=settings.actions.autonomy,
            ),
            actions=ActionsView(database=database, desk=acting.desk),
            peers=HostPeers(),
            clerk=tiers.clerk,
            responses=ResponsesView(database=database, settings=settings.store.retention),
            chat_options=settings.chat_options(),
            observer=telemetry.answers,
            relay_observer=telemetry.relayed,
            request_observer=telemetry.requests,
        )
        if listener is not None and access is not None:
            await stack.enter_async_context(
                answering(settings, ports=ports, access=access, listener=listener, failure=failure)
            )
        else:
            teller = Teller(database=database, owner=owner, report=status.report, live=live)
            await stack.enter_async_context(background("tell", teller.run(), failure=failure))
        await stack.enter_async_context(
            background(
                "schedule",
                follow_schedule(
                    settings.sources.schedule,
                    review=engine.holistic,
                    cursor=await load_cursor(SCHEDULE),
                    emit=emit,
                ),
                failure=failure,
            )
        )
        await stack.enter_async_context(
            background("sources", supervisor.run(), failure=failure, deadline=15)
        )
        yield Daemon(
            ports=ports,
            live=live,
            failure=failure,
            url=facade_url(settings),
            engine=engine,
            store=store,
            sources=supervisor.status,
            servers=fleet.status,
            apart=listener is None,
        )


def say_new(live: LiveHub, groups: Sequence[Folded]) -> None:
    """Tells the live stream of patterns that were never seen before."""
    for entry in groups:
        for state in entry.new:
            live.publish(
                kind="event",
                severity=state.floor,
                text=f"new pattern {state.unit or 'unknown'}: {state.sample[:160]}",
            )


def store_words(store: Store, state_dir: Path) -> str:
    """What PostgreSQL is used, for whoever looks on."""
    if store.server is None:
        return f"PostgreSQL {store.postgres_version} at the configured address"
    return f"own PostgreSQL {store.postgres_version} in {state_dir / 'postgres'}"


async def _ended(task: asyncio.Task[Any]) -> None:
    """Waits, and raises what the task raises; being cancelled leaves the task alone."""
    await asyncio.shield(task)


async def _settled(task: asyncio.Task[Any]) -> None:
    """A start that is still under way is given up; its own clean-up runs to the end."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task

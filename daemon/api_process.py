"""The facade as a process of its own, over the database of a daemon: `triaged run --only api`.

One straight line, as in `daemon.app`. What works here and how:

- incidents, events and the ledger are read from the database; closing and muting are written there,
  and the daemon sees it within seconds;
- posted events go through an intake of this process into the database, where the daemon judges
  them: daemons that share a database do the same;
- chats, the bare models and the review on demand call the models' servers themselves;
- the live stream and the status of everything else are told by the daemon (`daemon.apart`);
- memory has one owner, the daemon: it cannot be asked from here, and says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.metadata
import os
import platform
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

from api.ports import Ports
from api.telemetry.telemetry import Telemetry
from daemon.acting import make_acting
from daemon.apart.hearing import Hearer
from daemon.app import Daemon, Progress, say_new, store_words
from daemon.config.settings import Settings, TiersSettings
from daemon.emit import HostEmit
from daemon.engine import build_engine
from daemon.errors import StartError
from daemon.facade import access_held, answering, facade_url, listen_for, usage_kept
from daemon.intake.refresh import load_fold
from daemon.intake.rules import load_rules
from daemon.live import LiveHub
from daemon.memory.none import NoRecall
from daemon.peer import HostPeers
from daemon.runtime import Failure, background, within
from daemon.store.open import open_store, read_dsn
from daemon.tools.host import host_toolbox
from daemon.upkeep import maintain
from daemon.views.acting import ActingReport
from daemon.views.actions import ActionsView
from daemon.views.effects import EffectsView
from daemon.views.events import EventsView
from daemon.views.facade import StatusPort
from daemon.views.incidents import IncidentsView
from daemon.views.memories import MemoriesElsewhere
from daemon.views.privileges import Privileges
from daemon.views.proposals import ProposalsView
from daemon.views.records import MetricsView, RecordsView
from daemon.views.reported import ReportedStatus
from daemon.views.responses import ResponsesView
from daemon.views.reviews import ReviewsView
from daemon.views.status import Parts, StatusView
from daemon.views.targets import TargetsView
from tiers.build import build_tiers
from tiers.config import TierSettings
from tiers.llm.endpoint import EndpointStatus
from tiers.measured_tools import MeasuredToolbox
from tiers.runtime.fleet import Fleet
from tiers.vocabulary import TierName

_FIRST_WORD_SECONDS = 10.0
"""Two reports: who asks right after the start shall not be told that there is no daemon."""


@contextlib.asynccontextmanager
async def start_api(
    settings: Settings, *, state_dir: Path, progress: Progress
) -> AsyncIterator[Daemon]:
    """Starts the facade and yields when it answers. Raises what `daemon.app.start_daemon` does."""
    settings = attached(settings)
    host = settings.host_name or platform.node()
    owner = f"{host}:api:{os.getpid()}:{secrets.token_hex(3)}"
    started_at = datetime.now(tz=UTC)
    failure, live, telemetry = Failure(), LiveHub(), Telemetry()
    rules = load_rules(settings.intake.rules)
    async with contextlib.AsyncExitStack() as stack:
        listener = listen_for(settings, state_dir)
        stack.callback(listener.close)
        access = stack.enter_context(access_held(settings, state_dir))
        progress.part("store", "waiting for the daemon's PostgreSQL")
        store = await stack.enter_async_context(
            open_store(settings.store, state_dir, own=False, application_name=f"triaged api {host}")
        )
        database = store.pool
        progress.part("store", store_words(store, state_dir))
        await stack.enter_async_context(
            background("maintenance", maintain(store.maintenance), failure=failure)
        )
        await stack.enter_async_context(usage_kept(access, database, failure=failure))
        hearer = Hearer(database=database, live=live)
        await stack.enter_async_context(background("listen", hearer.run(), failure=failure))

        mutes_changed = asyncio.Event()
        incidents = IncidentsView(database=database, memory=None, on_mutes=mutes_changed.set)
        emit = HostEmit(host=host)
        events = EventsView(
            database=database,
            emit=emit,
            host=host,
            text_limit=settings.sources.http.text_limit,
        )
        toolbox = host_toolbox(
            records=RecordsView(database=database, incidents=incidents, events=events),
            metrics=MetricsView(database=database),
            readable=settings.tools.readable,
            timeout=settings.tools.timeout,
        )
        # Starts nothing: every tier's server is somebody else's here.
        fleet = Fleet(settings.tiers.by_name(), state_dir)
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
        for tier, pool in tiers.pools.items():
            telemetry.follow_queue(tier, pool.admission)

        def endpoints() -> dict[TierName, list[EndpointStatus]]:
            return {tier: pool.status() for tier, pool in tiers.pools.items()}

        # Its judge and its workers are the daemon's business and do not run here.
        engine = build_engine(
            settings=settings,
            database=database,
            tiers=tiers,
            recall=NoRecall(),
            rules=rules,
            live=live,
            owner=owner,
            on_folded=functools.partial(say_new, live),
            mutes_changed=mutes_changed,
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
        await stack.enter_async_context(
            background("refresh", engine.refresh.run(), failure=failure)
        )
        progress.part("intake", f"of posted events: {known} known patterns, {len(rules)} rules")

        acting = make_acting(
            settings.actions,
            database=database,
            live=live,
            host=host,
            owner=owner,
            dsn=read_dsn(settings.store),
            told=None,
        )
        stack.callback(acting.bus.close)
        privileges = Privileges(host=acting.host)
        await stack.enter_async_context(background("privileges", privileges.run(), failure=failure))
        status = StatusView(
            database=database,
            parts=Parts(
                servers=fleet.status,
                endpoints=endpoints,
                sources=tuple,
                memory=None,
                waiting_batches=lambda: engine.intake.waiting,
                model_calls=engine.model_calls,
                overflowed=lambda: engine.table.overflowed,
                access=access,
                acting=lambda: ActingReport(
                    level=settings.actions.autonomy, privileges=privileges.told()
                ),
            ),
            version=importlib.metadata.version("triaged"),
            host=host,
            started_at=started_at,
        )
        reported = ReportedStatus(own=status, host=host, reports=hearer.reports)
        ports = Ports(
            events=events,
            incidents=incidents,
            status=StatusPort(status=reported, recorded=telemetry),
            live=live,
            reviews=ReviewsView(review=engine.holistic),
            memories=MemoriesElsewhere(),
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
        if not await hearer.first(seconds=_FIRST_WORD_SECONDS):
            progress.part("daemon", "no word from it: nothing is watched until it runs")
        await stack.enter_async_context(
            answering(settings, ports=ports, access=access, listener=listener, failure=failure)
        )
        yield Daemon(
            ports=ports,
            live=live,
            failure=failure,
            url=facade_url(settings),
            engine=engine,
            store=store,
            sources=tuple,
            servers=fleet.status,
        )


def attached(settings: Settings) -> Settings:
    """With every llama-server somebody else's. Raises `StartError` where one cannot be found."""
    tiers = settings.tiers
    for name, each in tiers.by_name().items():
        if each.endpoint is None and each.port == 0:
            raise StartError(
                f"tiers.{name.value}.port is 0, so nobody but the daemon knows where that model "
                "answers; give it a port"
            )
    changed: dict[str, TierSettings] = {
        name.value: each.model_copy(update={"served_by": "service"})
        for name, each in tiers.by_name().items()
    }
    found: TiersSettings = tiers.model_copy(update=changed)
    return settings.model_copy(update={"tiers": found})

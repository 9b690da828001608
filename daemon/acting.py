"""Acting as a daemon composes it: the host, the kinds of actions, the desk, and who carries out."""

from __future__ import annotations

import dataclasses
import functools

from daemon.actions.catalogue import Catalogue
from daemon.actions.commits import Told
from daemon.actions.desk import Desk
from daemon.actions.executor import Executor
from daemon.actions.host.arming import ReversalTimers
from daemon.actions.host.bus import ManagerBus
from daemon.actions.host.helper_client import helper_client
from daemon.actions.host.host import Host
from daemon.actions.host.local import LocalHost
from daemon.actions.host.own_database import critical_database
from daemon.actions.host.units import SystemdUnits
from daemon.actions.kinds import runbooks
from daemon.actions.kinds.every import every_kind
from daemon.actions.requests import Requests
from daemon.actions.settings import ActionsSettings
from daemon.actions.weigh import StepPolicy, Weigher
from daemon.live import LiveHub
from daemon.store.pool import Database


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Acting:
    """What the facade and the workers share. `bus` is closed at the end; `desk` and `executor`
    run in the background. `executor` None: another process of this host carries out."""

    bus: ManagerBus
    host: Host
    catalogue: Catalogue
    desk: Desk
    requests: Requests
    executor: Executor | None


def make_acting(
    settings: ActionsSettings,
    *,
    database: Database,
    live: LiveHub,
    host: str,
    owner: str,
    dsn: str | None,
    told: Told | None,
) -> Acting:
    """`host` is the name of this host, `owner` that of this process. `dsn` is the store's where it
    is not the embedded one: a PostgreSQL of this host holds the daemon, so its units are critical.
    `told` learns how actions end; None carries nothing out. Nothing is contacted yet."""
    bus = ManagerBus()
    helper = helper_client()
    units = SystemdUnits(bus=bus)
    limits = dataclasses.replace(
        settings.host_limits(), critical_units=(*settings.critical, *critical_database(dsn))
    )
    local = LocalHost(units=units, helper=helper, limits=limits)
    arming = ReversalTimers(bus=bus, units=units, helper=helper)
    weighing = functools.partial(Weigher, database=database, host=local, settings=settings)
    steps = every_kind()
    catalogue = Catalogue(
        kinds=(
            *steps,
            *runbooks.kinds(
                runbooks=[book.runbook(name) for name, book in settings.runbooks.items()],
                steps=steps,
                gate=StepPolicy(weigher=weighing(catalogue=steps)),
            ),
        )
    )
    weigher = weighing(catalogue=catalogue)
    executor = None
    if told is not None:
        executor = Executor(
            database=database,
            catalogue=catalogue,
            weigher=weigher,
            host=local,
            arming=arming,
            settings=settings,
            name=host,
            owner=owner,
            live=live,
            told=told,
        )
    desk = Desk(
        database=database,
        catalogue=catalogue,
        weigher=weigher,
        acted_on=local,
        arming=arming,
        settings=settings,
        host=host,
        live=live,
        on_approved=_nobody if executor is None else executor.wake,
        told=told,
    )
    return Acting(
        bus=bus,
        host=local,
        catalogue=catalogue,
        desk=desk,
        requests=Requests(catalogue=catalogue, host=host, on_request=desk.wake),
        executor=executor,
    )


def _nobody() -> None:
    """The process that carries out looks for itself every few seconds."""

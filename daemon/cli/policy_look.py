"""What `triaged policy` knows of kinds and of this host beyond the configuration."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping

from daemon.actions.action import Action, TargetType
from daemon.actions.catalogue import Catalogue
from daemon.actions.errors import ActionError, HostUnavailableError
from daemon.actions.host.bus import ManagerBus
from daemon.actions.host.helper_client import helper_client
from daemon.actions.host.host import Limits
from daemon.actions.host.local import LocalHost
from daemon.actions.host.own_database import critical_database
from daemon.actions.host.units import SystemdUnits
from daemon.actions.kind import Kind, Target
from daemon.actions.kinds import runbooks
from daemon.actions.kinds.every import KINDS, every_kind
from daemon.actions.policy.facts import Past
from daemon.actions.settings import ActionsSettings
from daemon.cli.context import Context, err
from daemon.cli.existing import existing_state
from daemon.cli.exits import CommandError, Exit
from daemon.logs import configure_logs
from daemon.store import action_past
from daemon.store.action_past import PastRow
from daemon.store.errors import StoreError
from daemon.store.open import open_store, read_dsn
from daemon.systemd.names import with_type

_SUFFIXES: Mapping[TargetType, str] = {TargetType.UNIT: ".service", TargetType.TIMER: ".timer"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was looked up; by default nothing was."""

    target: Target | None = None
    past: Past = dataclasses.field(default_factory=Past)
    stopped: bool = False


class _NobodyRuns:
    """Runbooks are only looked at here."""

    async def why_not(self, step: Action, kind: Kind, target: Target) -> str | None:
        return None


def catalogue_of(settings: ActionsSettings) -> Catalogue:
    """Every kind of action, the operator's runbooks too."""
    written = [book.runbook(name) for name, book in settings.runbooks.items()]
    steps = every_kind()
    return Catalogue(
        kinds=(*KINDS, *runbooks.kinds(runbooks=written, steps=steps, gate=_NobodyRuns()))
    )


def critical_globs(shared: Context, settings: ActionsSettings) -> tuple[str, ...]:
    """Globs of critical units: the operator's, and of the database where it is of this host."""
    try:
        own = critical_database(read_dsn(shared.load().settings.store))
    except StoreError as error:
        raise CommandError(str(error), code=Exit.CONFIG) from error
    return (*settings.critical, *own)


def completed(kind: Kind, target: str) -> str:
    """The target as kinds name it: "ssh" is "ssh.service"."""
    suffix = _SUFFIXES.get(kind.spec.target)
    return target if suffix is None else with_type(target, suffix)


def note_running_level(shared: Context, settings: ActionsSettings) -> None:
    """Says on stderr where the daemon that runs has another level than what is looked at. One that
    is not there, or does not tell, says nothing."""
    try:
        status = shared.client().get("/api/v1/status")
        level = status["actions"]["level"]
    except (CommandError, KeyError, TypeError):
        return
    if level != settings.autonomy.value:
        err.print(
            f"note: the daemon at {shared.daemon_url()} runs at the level {level}; this is about "
            f"the level {settings.autonomy.value}",
            markup=False,
            highlight=False,
        )


def look(shared: Context, action: Action, kind: Kind, settings: ActionsSettings) -> Seen:
    """The target on this host, and what the store knows. Raises `CommandError`."""
    globs = critical_globs(shared, settings)
    limits = dataclasses.replace(settings.host_limits(), critical_units=globs)
    configure_logs(level="warning", format="console")
    return asyncio.run(_look(shared, action, kind, limits, settings.limits.strike_hours))


async def _look(
    shared: Context, action: Action, kind: Kind, limits: Limits, strike_hours: float
) -> Seen:
    bus = ManagerBus()
    host = LocalHost(units=SystemdUnits(bus=bus), helper=helper_client(), limits=limits)
    try:
        target = await kind.find(action, host)
    except HostUnavailableError as error:
        raise CommandError(f"this host cannot be looked at: {error}") from error
    except ActionError as error:
        message = f"refused before policy is asked: {error}"
        raise CommandError(message, code=Exit.NOT_FOUND) from error
    finally:
        bus.close()
    row = await _past(shared, action, strike_hours)
    return Seen(
        target=target,
        past=Past(
            in_hour=row.in_hour,
            kind_in_hour=row.kind_in_hour,
            target_in_hour=row.target_in_hour,
            failures=row.failures,
            last_failed=row.last_failed,
            waiting=row.waiting,
            unfinished_on_target=row.unfinished_on_target,
            denied=row.denied,
        ),
        stopped=row.stopped,
    )


async def _past(shared: Context, action: Action, strike_hours: float) -> PastRow:
    loaded = shared.load()
    state = await asyncio.to_thread(existing_state, shared, loaded)
    try:
        async with (
            open_store(loaded.settings.store, state, application_name="triaged policy") as store,
            store.pool.connection() as connection,
        ):
            return await action_past.past(
                connection,
                host=action.host,
                kind=action.kind,
                target=action.target,
                content_hash=action.content_hash,
                incident_id=None,
                strike_hours=strike_hours,
            )
    except OSError as error:
        message = (
            f"{error.filename or state}: {error.strerror}; run it as the user that the daemon runs "
            "as (runuser -u triaged -- triaged policy explain)"
        )
        raise CommandError(message) from error
    except StoreError as error:
        raise CommandError(str(error)) from error

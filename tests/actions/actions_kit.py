"""A kind of action that tests play with: what the host says is a variable, what ran is kept."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from daemon.actions.action import Action, Blast, Risk, TargetType
from daemon.actions.catalogue import Catalogue
from daemon.actions.desk import Desk
from daemon.actions.errors import TargetError
from daemon.actions.executor import Executor
from daemon.actions.host.host import Host, Limits
from daemon.actions.kind import Check, KindSpec, Output, Parameter, Target, TimedInverse
from daemon.actions.policy.facts import Origin
from daemon.actions.requests import NewRequest
from daemon.actions.settings import ActionsSettings
from daemon.actions.weigh import Weigher
from daemon.live import LiveHub
from daemon.store import actions, ledger
from daemon.store.actions import ActionRow
from daemon.store.pool import Database
from daemon.store.work import Work
from tiers.vocabulary import Provenance

HOST = "web1"


class Root:
    """The root helper. `refuses` has the sentence for each verb that it does not allow."""

    def __init__(self) -> None:
        self.refuses: dict[str, str] = {}
        self.hangs = False

    async def allows(self, verb: str) -> str | None:
        if self.hangs:
            await asyncio.sleep(60)
        return self.refuses.get(verb)


class Nothing:
    """A host that is only asked what root allows."""

    def __init__(self, helper: Root) -> None:
        self.helper = helper


@dataclasses.dataclass(kw_only=True)
class Lamp:
    """A thing that can be lit; `lit` is the host's state, `runs` what was done to it."""

    lit: bool = False
    broken: bool = False
    runs: list[str] = dataclasses.field(default_factory=list)
    present: set[str] = dataclasses.field(default_factory=lambda: {"hall"})
    critical: str = ""
    way_in: bool = False
    verbs: tuple[str, ...] = ()
    find_error: Exception | None = None
    ready_error: Exception | None = None
    run_error: Exception | None = None
    blind: bool = False
    final: bool = True
    on_run: Callable[[], Any] | None = None
    on_before: Callable[[], Any] | None = None
    on_check: Callable[[], Any] | None = None


class Light:
    """Lights a lamp, for a time where it is told one. "restart_unit" lights it as well, under a
    name that has a reversal."""

    def __init__(self, lamp: Lamp, *, name: str = "light", risk: Risk = Risk.LOW) -> None:
        self.lamp = lamp
        self.wanted = name != "darken"
        self.spec = KindSpec(
            name=name,
            family="lamps",
            target=TargetType.UNIT,
            sentence=f"{name} {{target}}",
            risk=risk,
            blast=Blast.TARGET,
            reversible=True,
            inverse="darken" if name == "light" else None,
            locks_out=True,
            precondition="the lamp is there",
            postcondition="the lamp is as it was wanted",
            timeout=2.0,
            settle=0.0,
            parameters=(
                Parameter(name="seconds", type=int, description="how long", default=0, least=0),
            ),
        )

    def risk(self, action: Action, target: Target) -> Risk:
        return self.spec.risk

    def verbs(self, action: Action) -> tuple[str, ...]:
        return self.lamp.verbs

    def require_target(self, action: Action, limits: Limits) -> None:
        pass

    async def find(self, action: Action, host: Host) -> Target:
        if self.lamp.find_error is not None:
            raise self.lamp.find_error
        if action.target not in self.lamp.present:
            raise TargetError(f"there is no lamp {action.target}")
        return Target(
            name=action.target,
            type=TargetType.UNIT,
            critical=bool(self.lamp.critical),
            why_critical=self.lamp.critical,
            way_in=self.lamp.way_in,
        )

    async def ready(self, action: Action, host: Host) -> None:
        if self.lamp.ready_error is not None:
            raise self.lamp.ready_error

    async def before(self, action: Action, host: Host) -> Mapping[str, Any]:
        if self.lamp.on_before is not None:
            await self.lamp.on_before()
        return {"lit": self.lamp.lit}

    def timed_inverse(self, action: Action) -> TimedInverse | None:
        seconds = int(action.parameters["seconds"])
        if not self.wanted or seconds == 0:
            return None
        return TimedInverse(
            kind="darken", target=action.target, parameters={}, after_seconds=seconds
        )

    async def run(self, action: Action, host: Host) -> Output:
        self.lamp.runs.append(f"{self.spec.name} {action.target}")
        if self.lamp.on_run is not None:
            await self.lamp.on_run()
        if self.lamp.run_error is not None:
            raise self.lamp.run_error
        if not self.lamp.broken:
            self.lamp.lit = self.wanted
        return Output(text="click")

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        if self.lamp.on_check is not None:
            await self.lamp.on_check()
        if self.lamp.blind:
            return Check(holds=None, detail="it is too dark to see", final=True)
        holds = self.lamp.lit == self.wanted
        return Check(
            holds=holds,
            detail=f"the lamp is {'on' if self.lamp.lit else 'off'}",
            final=holds or self.lamp.final,
            measured={"lit": self.lamp.lit, "was": before.get("lit")},
        )


class Timers:
    """Reversals, as systemd would hold them."""

    def __init__(self) -> None:
        self.armed: dict[str, tuple[str, str]] = {}
        self.error: Exception | None = None
        self.arm_error: Exception | None = None
        self.cancel_error: Exception | None = None

    async def arm(self, *, token: str, kind: str, target: str, after_seconds: float) -> None:
        if self.error is not None:
            raise self.error
        assert token not in self.armed
        self.armed[token] = (kind, target)
        if self.arm_error is not None:
            raise self.arm_error

    async def cancel(self, *, token: str) -> None:
        if self.error is not None:
            raise self.error
        if self.cancel_error is not None:
            raise self.cancel_error
        self.armed.pop(token, None)

    async def waits(self, *, token: str) -> bool:
        return token in self.armed


class Nobody:
    """Is told how actions end, and keeps it."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, str]] = []

    async def ended(self, work: Work, row: ActionRow) -> None:
        self.ends.append((row.kind, row.state))

    async def came_to_nothing(self, work: Work, row: ActionRow) -> None:
        self.ends.append((row.kind, row.state))


@dataclasses.dataclass(kw_only=True)
class Rig:
    """Desk and executor over a real database and a lamp."""

    database: Database
    lamp: Lamp
    desk: Desk
    executor: Executor
    told: Nobody
    timers: Timers
    root: Root

    async def ask(self, **changes: Any) -> ActionRow:
        """A request as a tier makes it."""
        return await self.desk.request(request(**changes))

    async def row(self, action_id: int) -> ActionRow:
        async with self.database.connection() as connection:
            found = await actions.get(connection, action_id)
        assert found is not None
        return found

    async def kinds(self) -> list[str]:
        """The kinds of all ledger entries, in order."""
        async with self.database.connection() as connection:
            return [entry.kind for entry in await ledger.read(connection, limit=1_000)]


def request(**changes: Any) -> NewRequest:
    values: dict[str, Any] = {
        "kind": "light",
        "target": "hall",
        "origin": Origin.TIER,
        "requested_by": "tier/review",
        "reason": "it is dark",
        "basis": Provenance.SYSTEMD,
    }
    return NewRequest(**{**values, **changes})


def rig(
    database: Database,
    *,
    lamp: Lamp | None = None,
    owner: str = "one",
    told: Nobody | None = None,
    name: str = HOST,
    **settings: Any,
) -> Rig:
    """`settings` are those of [actions]; by default everything that is safe runs by itself."""
    values = {"autonomy": "auto-safe", "steady_seconds": 1, "lease_seconds": 5, **settings}
    chosen = ActionsSettings.model_validate(values)
    lamp = lamp or Lamp()
    catalogue = Catalogue(
        kinds=[Light(lamp, name=name) for name in ("light", "darken", "restart_unit")]
    )
    root = Root()
    host: Any = Nothing(root)
    live = LiveHub()
    told = told or Nobody()
    timers = Timers()
    weigher = Weigher(database=database, catalogue=catalogue, host=host, settings=chosen)
    executor = Executor(
        database=database,
        catalogue=catalogue,
        weigher=weigher,
        host=host,
        arming=timers,
        settings=chosen,
        name=name,
        owner=owner,
        live=live,
        told=told,
    )
    desk = Desk(
        database=database,
        catalogue=catalogue,
        weigher=weigher,
        acted_on=host,
        arming=timers,
        settings=chosen,
        host=name,
        live=live,
        on_approved=executor.wake,
        told=told,
    )
    return Rig(
        database=database,
        lamp=lamp,
        desk=desk,
        executor=executor,
        told=told,
        timers=timers,
        root=root,
    )

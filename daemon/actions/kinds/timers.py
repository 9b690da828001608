"""Running again what a timer runs, when its last run failed or never came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daemon.actions.action import Action, Blast, Risk, TargetType
from daemon.actions.errors import PreconditionError, TargetError
from daemon.actions.host.host import Host, UnitState
from daemon.actions.kind import Check, Kind, KindSpec, Output, Target
from daemon.actions.kinds import unit_states
from daemon.actions.kinds.unit_states import fresh
from daemon.actions.kinds.units import UnitKind


class RerunTimer(UnitKind):
    """The unit that the timer triggers is found before, stored, and judged as one that was
    started: whatever the timer triggers by then."""

    spec = KindSpec(
        name="rerun_timer",
        family="timers",
        target=TargetType.TIMER,
        sentence="run now what {target} runs",
        risk=Risk.LOW,
        blast=Blast.TARGET,
        reversible=True,
        precondition="the timer triggers one unit, which does not run now and may be started",
        postcondition="that unit has a new run, and it ended with success (a unit that goes on "
        "running: is active and stays so)",
        timeout=600.0,
        settle=120.0,
    )
    verb = "start"
    types = (".timer",)

    async def find(self, action: Action, host: Host) -> Target:
        return await unit_states.find_unit(
            action.target, host=host, types=self.types, as_type=TargetType.TIMER
        )

    async def ready(self, action: Action, host: Host) -> None:
        timer = await fresh(action.target, host=host)
        unit_states.require_loaded(timer)
        unit = await _triggered(timer, host=host)
        if unit.active == "active":
            raise PreconditionError(f"{unit.name}, which {timer.name} runs, is active already")
        unit_states.require_startable(unit)

    async def before(self, action: Action, host: Host) -> Mapping[str, Any]:
        unit = await _triggered(await fresh(action.target, host=host), host=host)
        return unit_states.baseline(unit, host=host) | {"unit": unit.name}

    async def run(self, action: Action, host: Host) -> Output:
        unit = await _triggered(await fresh(action.target, host=host), host=host)
        result = await host.units.act(self.verb, unit.name)
        return Output(
            text=f"systemd ended the job to start {unit.name}: {result}",
            data={"job": result, "unit": unit.name},
        )

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        return await unit_states.check_started(str(before.get("unit", "")), host, before)


async def _triggered(timer: UnitState, *, host: Host) -> UnitState:
    """Raises `TargetError`."""
    if len(timer.triggers) != 1:
        raise TargetError(f"{timer.name} triggers {len(timer.triggers)} units; one is needed")
    unit = await host.units.state(timer.triggers[0])
    if unit is None:
        raise TargetError(f"{timer.triggers[0]}, which {timer.name} runs, is not on this host")
    return unit


KINDS: tuple[Kind, ...] = (RerunTimer(),)

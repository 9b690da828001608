"""How often a unit may be started before systemd gives up on it: a drop-in, by the root helper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daemon.actions.action import Action, Blast, Risk, TargetType
from daemon.actions.errors import PreconditionError
from daemon.actions.host.host import Host, UnitState
from daemon.actions.kind import Check, Kind, KindSpec, Output, Parameter
from daemon.actions.kinds import unit_states
from daemon.actions.kinds.by_helper import effect
from daemon.actions.kinds.unit_states import fresh, measured
from daemon.actions.kinds.units import UnitKind

_VERB = "restart-limit"
_HELPER_SECONDS = 40.0
DROP_IN = "50-triaged-restart-limit.conf"
"""The file's name, in the unit's folder of drop-ins."""


class _LimitKind(UnitKind):
    """`verb` is raise or lower."""

    types = (".service",)

    def verbs(self, action: Action) -> tuple[str, ...]:
        return (_VERB,)

    async def before(self, action: Action, host: Host) -> Mapping[str, Any]:
        state = await fresh(action.target, host=host)
        return unit_states.baseline(state, host=host) | {
            "burst": state.start_limit_burst,
            "seconds": state.start_limit_interval,
        }

    async def run(self, action: Action, host: Host) -> Output:
        arguments = {"change": self.verb, "unit": action.target, **action.parameters}
        return await effect(host, _VERB, arguments, timeout=_HELPER_SECONDS)


class RaiseRestartLimit(_LimitKind):
    spec = KindSpec(
        name="raise_restart_limit",
        family="units",
        target=TargetType.UNIT,
        sentence="let {target} be started {burst} times within {seconds} s",
        risk=Risk.MEDIUM,
        blast=Blast.TARGET,
        reversible=True,
        inverse="lower_restart_limit",
        precondition="the service has a limit, lower than the wanted one, and the root helper may "
        "write the drop-in",
        postcondition="systemd has loaded exactly the wanted limit",
        timeout=60.0,
        settle=15.0,
        parameters=(
            Parameter(
                name="burst", type=int, description="starts that are allowed", least=2, most=50
            ),
            Parameter(
                name="seconds",
                type=int,
                description="seconds within which starts are counted",
                default=300,
                least=10,
                most=3600,
            ),
        ),
    )
    verb = "raise"

    async def ready(self, action: Action, host: Host) -> None:
        state = await fresh(action.target, host=host)
        unit_states.require_loaded(state)
        if not state.start_limit_burst or not state.start_limit_interval:
            raise PreconditionError(f"{state.name} has no limit of starts: it need not be raised")
        wanted = int(action.parameters["burst"]) / int(action.parameters["seconds"])
        if wanted <= state.start_limit_burst / state.start_limit_interval:
            raise PreconditionError(
                f"{state.name} may be started more often already: {_limit(state)}"
            )
        await unit_states.require_helper(_VERB, host=host)

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        state = await host.units.state(action.target)
        if state is None:
            return unit_states.gone(action.target)
        wanted = (int(action.parameters["burst"]), float(int(action.parameters["seconds"])))
        return _check(state, (state.start_limit_burst, state.start_limit_interval) == wanted)


class LowerRestartLimit(_LimitKind):
    spec = KindSpec(
        name="lower_restart_limit",
        family="units",
        target=TargetType.UNIT,
        sentence="give {target} its own limit of starts back",
        risk=Risk.LOW,
        blast=Blast.TARGET,
        reversible=True,
        precondition="triaged raised the service's limit before, and the root helper may remove "
        "the drop-in",
        postcondition="systemd has the drop-in no more",
        timeout=60.0,
        settle=15.0,
    )
    verb = "lower"

    async def ready(self, action: Action, host: Host) -> None:
        state = await fresh(action.target, host=host)
        if not _raised(state):
            raise PreconditionError(f"triaged did not raise the limit of {state.name}")
        await unit_states.require_helper(_VERB, host=host)

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        state = await host.units.state(action.target)
        if state is None:
            return unit_states.gone(action.target)
        return _check(state, not _raised(state))


def _raised(state: UnitState) -> bool:
    return any(path.rpartition("/")[2] == DROP_IN for path in state.drop_ins)


def _limit(state: UnitState) -> str:
    return f"{state.start_limit_burst} times in {state.start_limit_interval:.0f} s"


def _check(state: UnitState, holds: bool) -> Check:
    return Check(
        holds=holds,
        final=holds,
        detail=f"{state.name} may be started {_limit(state)}",
        measured=measured(state)
        | {
            "burst": state.start_limit_burst,
            "seconds": state.start_limit_interval,
            "raised": _raised(state),
        },
    )


KINDS: tuple[Kind, ...] = (RaiseRestartLimit(), LowerRestartLimit())

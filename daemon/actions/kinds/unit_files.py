"""Enabling and disabling units: through the root helper, because systemd tells polkit no unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daemon.actions.action import Action, Blast, Risk, TargetType
from daemon.actions.errors import PreconditionError
from daemon.actions.host.host import Host
from daemon.actions.kind import Check, Kind, KindSpec, Output
from daemon.actions.kinds import unit_states
from daemon.actions.kinds.by_helper import effect
from daemon.actions.kinds.unit_states import fresh, measured
from daemon.actions.kinds.units import UnitKind

_VERB = "unit-file"
_HELPER_SECONDS = 40.0
_ENABLED = frozenset({"enabled", "enabled-runtime"})
_CHANGEABLE = frozenset({"enabled", "enabled-runtime", "disabled"})


class _UnitFileKind(UnitKind):
    """`verb` is enable or disable. `wanted` are the states that it leads to."""

    wanted: frozenset[str]

    def verbs(self, action: Action) -> tuple[str, ...]:
        return (_VERB,)

    async def ready(self, action: Action, host: Host) -> None:
        state = await fresh(action.target, host=host)
        unit_states.require_loaded(state)
        if state.unit_file in self.wanted:
            raise PreconditionError(f"{state.name} is {state.unit_file} already")
        if state.unit_file not in _CHANGEABLE:
            raise PreconditionError(
                f"{state.name} is {state.unit_file or 'without a unit file'}: there is nothing to "
                f"{self.verb}"
            )
        await unit_states.require_helper(_VERB, host=host)

    async def run(self, action: Action, host: Host) -> Output:
        arguments = {"change": self.verb, "unit": action.target}
        return await effect(host, _VERB, arguments, timeout=_HELPER_SECONDS)

    async def check(self, action: Action, host: Host, before: Mapping[str, Any]) -> Check:
        state = await host.units.state(action.target)
        if state is None:
            return unit_states.gone(action.target)
        holds = state.unit_file in self.wanted
        return Check(
            holds=holds,
            final=holds,
            detail=f"{state.name} is {state.unit_file or 'without a unit file'}",
            measured=measured(state),
        )


class EnableUnit(_UnitFileKind):
    spec = KindSpec(
        name="enable_unit",
        family="units",
        target=TargetType.UNIT,
        sentence="start {target} at each boot from now on",
        risk=Risk.MEDIUM,
        blast=Blast.TARGET,
        reversible=True,
        inverse="disable_unit",
        precondition="the unit is disabled and can be enabled, and the root helper may do it",
        postcondition="systemd says that its unit file is enabled",
        timeout=60.0,
        settle=10.0,
    )
    verb = "enable"
    wanted = _ENABLED


class DisableUnit(_UnitFileKind):
    spec = KindSpec(
        name="disable_unit",
        family="units",
        target=TargetType.UNIT,
        sentence="start {target} at no boot from now on",
        risk=Risk.MEDIUM,
        blast=Blast.DEPENDANTS,
        reversible=True,
        locks_out=True,
        inverse="enable_unit",
        precondition="the unit is enabled, and the root helper may do it",
        postcondition="systemd says that its unit file is disabled",
        timeout=60.0,
        settle=10.0,
    )
    verb = "disable"
    wanted = frozenset({"disabled"})


KINDS: tuple[Kind, ...] = (EnableUnit(), DisableUnit())

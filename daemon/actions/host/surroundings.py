"""Reads what `critical` needs to know of a unit's surroundings."""

from __future__ import annotations

import os

from daemon.actions.host.critical import (
    Concern,
    Critical,
    critical_name,
    critical_process,
    critical_unit,
)
from daemon.actions.host.host import Host, ProcessState, UnitState

_MOST_LOOKED_AT = 128


async def why_unit_critical(unit: UnitState, *, host: Host) -> Critical | None:
    """None: it is not. Raises `HostUnavailableError`."""
    around: dict[str, UnitState] = {}
    missing: set[str] = set()
    waiting = [*unit.triggers, *unit.triggered_by, *unit.requires_by]
    globs = host.limits.critical_units
    while waiting:
        # What is known already may be enough, and most of what is critical is so by its name.
        if (found := critical_unit(unit, around=around, globs=globs)) is not None:
            return found
        name = waiting.pop()
        if name in around or name in missing:
            continue
        if len(around) >= _MOST_LOOKED_AT:
            why = f"{unit.name} is needed by more units than can be looked at"
            return Critical(concern=Concern.BOOT, why=why)
        state = await host.units.state(name)
        if state is None:
            missing.add(name)
            continue
        around[name] = state
        waiting += state.requires_by
    return critical_unit(unit, around=around, globs=globs)


async def why_process_critical(process: ProcessState, *, host: Host) -> Critical | None:
    """None: it is not. Raises `HostUnavailableError`."""
    return critical_process(
        process,
        processes=await host.processes(),
        own=os.getpid(),
        unit=await _why_named_critical(process.unit, host=host) if process.unit else None,
    )


async def _why_named_critical(name: str, *, host: Host) -> Critical | None:
    state = await host.units.state(name)
    if state is None:  # it is ending, or systemd knows it no more: its name is all there is
        return critical_name(name, globs=host.limits.critical_units)
    return await why_unit_critical(state, host=host)

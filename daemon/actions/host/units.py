"""Units over D-Bus: satisfies `daemon.actions.host.host.Units`."""

from __future__ import annotations

import contextlib
import itertools
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from daemon.actions.errors import TargetError
from daemon.actions.host.bus import ManagerBus, explained
from daemon.actions.host.host import UnitState
from daemon.systemd.errors import RefusedError
from daemon.systemd.names import is_unit

_JOBS = {
    "start": "StartUnit",
    "stop": "StopUnit",
    "restart": "RestartUnit",
    "try-restart": "TryRestartUnit",
    "reload": "ReloadUnit",
}
_REQUIRING = ("RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf", "PropagatesStopTo")
_NO_STARTING = ("masked", "masked-runtime", "alias", "bad", "invalid")
_ENABLED = ("enabled", "enabled-runtime")
_NEVER = 2**64 - 1
_MOST_HELD = 32


class SystemdUnits:
    """The system manager's units, by names that systemd could have."""

    def __init__(self, *, bus: ManagerBus) -> None:
        self._bus = bus
        self._held: OrderedDict[str, None] = OrderedDict()

    async def state(self, unit: str) -> UnitState | None:
        """Satisfies `Units`."""
        if not is_unit(unit):
            return None
        try:
            try:
                await self._bus.manager("GetUnit", "s", [unit])
            except RefusedError:
                if not _may_be_loaded(unit, await self._unit_file(unit)):
                    return None
                await self._bus.manager("LoadUnit", "s", [unit])
            general = await self._bus.properties(unit, "Unit")
            special = await self._special(unit)
        except RefusedError as error:
            raise explained(error, unit=unit) from error
        if general.get("LoadState") == "not-found" and general.get("ActiveState") == "inactive":
            return None
        name = str(general.get("Id") or unit)
        unit_file = await self._unit_file(name) or str(general.get("UnitFileState", ""))
        return _state(name, general, special, unit_file=unit_file)

    async def names(self) -> Sequence[str]:
        """Satisfies `Units`."""
        try:
            (units,) = await self._bus.manager("ListUnits")
            (files,) = await self._bus.manager("ListUnitFiles")
        except RefusedError as error:
            raise explained(error, unit="the list of units") from error
        loaded = (row[0] for row in units if row[2] != "not-found")
        startable = (row[0].rpartition("/")[2] for row in files if row[1] not in _NO_STARTING)
        return sorted(name for name in {*loaded, *startable} if is_unit(name))

    async def act(self, verb: str, unit: str) -> str:
        """Satisfies `Units`. Raises `TargetError` for what can be no unit's name."""
        if not is_unit(unit):
            message = f"{unit[:80]!r} is not the name of a unit"
            raise TargetError(message)
        try:
            if verb == "reset-failed":
                await self._bus.manager("ResetFailedUnit", "s", [unit])
                return "done"
            await self._hold(unit)
            return await self._bus.job(_JOBS[verb], "ss", [unit, "replace"])
        except RefusedError as error:
            raise explained(error, unit=unit) from error

    async def _hold(self, unit: str) -> None:
        """Asks systemd to keep what it knows of a unit after it has ended: otherwise nobody can
        say of a unit that runs once, and that nothing refers to, how it ended."""
        with contextlib.suppress(RefusedError):  # not held so far
            await self._bus.unit(unit, "Unref")
        with contextlib.suppress(RefusedError):  # not allowed to: then it is as it is
            await self._bus.unit(unit, "Ref")
        self._held[unit] = None
        self._held.move_to_end(unit)
        if len(self._held) > _MOST_HELD:
            oldest, _ = self._held.popitem(last=False)
            with contextlib.suppress(RefusedError):
                await self._bus.unit(oldest, "Unref")

    async def _special(self, unit: str) -> Mapping[str, Any]:
        kind = unit.rpartition(".")[2].capitalize()
        try:
            return await self._bus.properties(unit, kind)
        except RefusedError:
            return {}

    async def _unit_file(self, unit: str) -> str | None:
        """As it is on disk, which the property of a loaded unit does not always know yet."""
        try:
            (state,) = await self._bus.manager("GetUnitFileState", "s", [unit])
        except RefusedError:
            return None
        return str(state)


def _may_be_loaded(unit: str, unit_file: str | None) -> bool:
    """Of a template any instance can be made, and its name is given to the template's command: only
    one that somebody has enabled is this host's."""
    return unit_file is not None and ("@" not in unit or unit_file in _ENABLED)


def _state(
    name: str, general: Mapping[str, Any], special: Mapping[str, Any], *, unit_file: str
) -> UnitState:
    """Properties as systemd names them. Older versions lack some: then the default says so."""
    invocation = bytes(general.get("InvocationID") or b"")
    return UnitState(
        name=name,
        load=str(general.get("LoadState", "")),
        active=str(general.get("ActiveState", "")),
        sub=str(general.get("SubState", "")),
        description=str(general.get("Description", ""))[:200],
        unit_file=unit_file,
        result=str(special.get("Result", "")),
        restarts=int(special.get("NRestarts", 0)),
        invocation=invocation.hex() if any(invocation) else "",
        active_since=_time(general.get("ActiveEnterTimestamp")),
        main_pid=int(special.get("MainPID", 0)),
        can_start=bool(general.get("CanStart", True)),
        can_stop=bool(general.get("CanStop", True)),
        can_reload=bool(general.get("CanReload", False)),
        refuse_manual_start=bool(general.get("RefuseManualStart", False)),
        refuse_manual_stop=bool(general.get("RefuseManualStop", False)),
        start_limit_burst=int(general.get("StartLimitBurst", 0)),
        start_limit_interval=_time(general.get("StartLimitIntervalUSec")),
        triggers=_names(general, "Triggers"),
        triggered_by=_names(general, "TriggeredBy"),
        requires_by=_names(general, *_REQUIRING),
        last_trigger=_time(special.get("LastTriggerUSec")),
        names=_names(general, "Names"),
        service_type=str(special.get("Type", "")),
        inactive_since=_time(general.get("InactiveEnterTimestamp")),
        changed_at=_time(general.get("StateChangeTimestamp")),
        reload_result=str(special.get("ReloadResult", "")),
        drop_ins=tuple(str(path) for path in general.get("DropInPaths", ())),
    )


def _names(properties: Mapping[str, Any], *which: str) -> tuple[str, ...]:
    found = itertools.chain.from_iterable(properties.get(name, ()) for name in which)
    return tuple(sorted({str(name) for name in found}))


def _time(microseconds: Any) -> float:
    """Seconds; 0.0 for never."""
    if not isinstance(microseconds, int) or not 0 < microseconds < _NEVER:
        return 0.0
    return microseconds / 1e6

"""Fresh facts for conditions: units from systemd, alarms from the metrics source."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from daemon.tools.command import run_program
from daemon.tools.toolbox import ToolError

_SYSTEMD = Path("/run/systemd/system")
_PROPERTIES = (
    "ActiveState",
    "Type",
    "Result",
    "ActiveEnterTimestampMonotonic",
    "InactiveEnterTimestampMonotonic",
)


UnitTimes = Callable[[Sequence[str]], Awaitable[Mapping[str, float] | None]]
"""Seconds that each unit has been well, without those that are not; None when nobody can say."""


class Alarms(Protocol):
    """What the metrics source knows."""

    def alarm_gone_for(self, metric: str, target: str) -> float | None:
        """Seconds since the metric left its last alarm; None while one is up or it is unknown."""
        ...


class NoAlarms:
    """Nothing is measured here."""

    def alarm_gone_for(self, metric: str, target: str) -> float | None:
        return None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Satisfies `conditions.Measured`."""

    units: Mapping[str, float]
    alarms: Alarms
    silent: float

    def unit_steady_for(self, unit: str) -> float | None:
        return self.units.get(unit)

    def alarm_gone_for(self, metric: str, target: str) -> float | None:
        return self.alarms.alarm_gone_for(metric, target)

    def silent_for(self) -> float:
        return self.silent


def _has_systemd() -> bool:
    return _SYSTEMD.exists()


async def steady_units(units: Sequence[str]) -> dict[str, float] | None:
    """Seconds that each unit has been well: active, or a finished job whose last run went well.
    Units that are not are left out. None on a host without systemd."""
    if not _has_systemd():
        return None
    found = {}
    for unit in units:
        try:
            output = await run_program(
                ["systemctl", "show", f"--property={','.join(_PROPERTIES)}", "--", unit]
            )
        except ToolError:
            continue  # it may be down: not knowing is no reason to close anything
        facts = dict(line.split("=", 1) for line in output.text.splitlines() if "=" in line)
        since = well_since(facts)
        if since is not None:
            found[unit] = time.clock_gettime(time.CLOCK_MONOTONIC) - since
    return found


def well_since(facts: Mapping[str, str]) -> float | None:
    """When a unit became well, in seconds of the monotonic clock; None while it is not. Pure."""
    if facts.get("ActiveState") == "active":
        entered = facts.get("ActiveEnterTimestampMonotonic", "0")
    elif (
        facts.get("ActiveState") == "inactive"
        and facts.get("Type") == "oneshot"
        and facts.get("Result") == "success"
    ):
        # A job that a timer starts is never active for long: its last run has to have gone well.
        entered = facts.get("InactiveEnterTimestampMonotonic", "0")
    else:
        return None
    return int(entered) / 1e6 if entered.isdigit() and entered != "0" else None

"""Fresh facts for conditions: units from systemd, alarms from the metrics source."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from daemon.tools.command import run_program
from daemon.tools.toolbox import ToolError


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


async def steady_units(units: Sequence[str]) -> dict[str, float]:
    """Seconds that each unit has been active; units that are not active, or of which systemd says
    nothing, are left out."""
    found = {}
    for unit in units:
        try:
            output = await run_program(
                [
                    "systemctl",
                    "show",
                    "--property=ActiveState,ActiveEnterTimestampMonotonic",
                    "--",
                    unit,
                ]
            )
        except ToolError:
            return {}
        facts = dict(line.split("=", 1) for line in output.text.splitlines() if "=" in line)
        entered = facts.get("ActiveEnterTimestampMonotonic", "0")
        if facts.get("ActiveState") == "active" and entered.isdigit() and entered != "0":
            now = time.clock_gettime(time.CLOCK_MONOTONIC)
            found[unit] = now - int(entered) / 1e6
    return found

"""When an incident is over: conditions that are measured, never believed. Pure.

A condition is made from what an incident consists of. It is asked again and again with fresh
measurements, and must have been gone for a while before the incident closes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

MIN_SILENCE = 15 * 60.0
MAX_SILENCE = 24 * 3600.0
USUAL_GAPS = 5.0
"""A pattern counts as silent after this many of its usual gaps, within the bounds above."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What has to be measured for an incident to be over.

    `units` must be active, `metrics` ((metric, target) pairs) must have no alarm up, and no pattern
    of the incident may have occurred for `silence` seconds.
    """

    units: tuple[str, ...] = ()
    metrics: tuple[tuple[str, str], ...] = ()
    silence: float = MIN_SILENCE

    def to_json(self) -> dict[str, Any]:
        return {
            "units": list(self.units),
            "metrics": [list(metric) for metric in self.metrics],
            "silence": self.silence,
        }

    def with_also(self, other: Condition) -> Condition:
        """Both have to be gone."""
        return Condition(
            units=tuple(sorted({*self.units, *other.units})),
            metrics=tuple(sorted({*self.metrics, *other.metrics})),
            silence=max(self.silence, other.silence),
        )

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> Condition:
        if not value:
            return cls()
        return cls(
            units=tuple(value.get("units", ())),
            metrics=tuple((str(m[0]), str(m[1])) for m in value.get("metrics", ())),
            silence=float(value.get("silence", MIN_SILENCE)),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PatternFacts:
    """What a condition needs to know of a pattern of the incident."""

    unit: str
    usual_gap: float | None
    failed_unit: str | None = None
    metric: tuple[str, str] | None = None


class Measured(Protocol):
    """Fresh facts about the host."""

    def unit_steady_for(self, unit: str) -> float | None:
        """Seconds that a unit has been active without a restart; None when it is not active or
        nobody can say."""
        ...

    def alarm_gone_for(self, metric: str, target: str) -> float | None:
        """Seconds since a metric left its last alarm; None while it is up or unknown."""
        ...

    def silent_for(self) -> float:
        """Seconds since the last occurrence of any pattern of the incident."""
        ...


def condition_for(patterns: Sequence[PatternFacts]) -> Condition:
    """The condition of an incident that consists of these patterns."""
    units = sorted({p.failed_unit for p in patterns if p.failed_unit})
    metrics = sorted({p.metric for p in patterns if p.metric})
    gaps = [p.usual_gap for p in patterns if p.usual_gap is not None]
    silence = min(max(max(gaps, default=0.0) * USUAL_GAPS, MIN_SILENCE), MAX_SILENCE)
    return Condition(units=tuple(units), metrics=tuple(metrics), silence=silence)


def why_gone(condition: Condition, measured: Measured, *, steady: float) -> str | None:
    """One sentence that says why the incident is over, or None while it is not.

    A unit or a metric that can be measured decides alone: log silence proves nothing about a unit
    that is down, and a steady unit need not wait for silence. `steady` is in seconds.
    """
    reasons = []
    for unit in condition.units:
        since = measured.unit_steady_for(unit)
        if since is None or since < steady:
            return None
        reasons.append(f"unit {unit} has been active and steady for {_minutes(since)}")
    for metric, target in condition.metrics:
        since = measured.alarm_gone_for(metric, target)
        if since is None or since < steady:
            return None
        reasons.append(
            f"{metric} {target} has been back to normal for {_minutes(since)}".replace("  ", " ")
        )
    if reasons:
        return "; ".join(reasons)
    silent = measured.silent_for()
    if silent < condition.silence:
        return None
    return f"nothing of it was seen for {_minutes(silent)}"


def _minutes(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"

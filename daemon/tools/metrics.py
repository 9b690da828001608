"""How a metric developed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from daemon.tools.toolbox import ToolError
from daemon.tools.words import listed
from tiers.contracts import ToolResult


class Series(Protocol):
    """A metric of one target over a window."""

    @property
    def target(self) -> str: ...

    @property
    def least(self) -> float: ...

    @property
    def mean(self) -> float: ...

    @property
    def most(self) -> float: ...

    @property
    def latest(self) -> float: ...

    @property
    def first(self) -> float: ...

    @property
    def samples(self) -> int: ...


class MetricRecords(Protocol):
    async def history(self, *, name: str, hours: float) -> Sequence[Series]: ...


# What models and people call a metric, and what it is recorded as, with its unit.
_NAMES = {
    "cpu": ("cpu", "%"),
    "memory": ("memory", "%"),
    "swap": ("swap", "%"),
    "load": ("load", ""),
    "disk": ("disk", "%"),
    "pressure": ("pressure_memory", "%"),
    "temperature": ("temperature", " C"),
}


def metric_history(*, records: MetricRecords) -> Callable[..., Awaitable[ToolResult]]:
    """The tool that reads recorded metrics."""

    async def tool(*, metric: str, hours: int = 6) -> ToolResult:
        name, unit = _NAMES[metric]
        found = [s for s in await records.history(name=name, hours=hours) if s.samples]
        if not found:
            raise ToolError(f"Nothing was recorded of {metric} in the last {hours} h.")
        words = [_words(metric, s, unit) for s in found]
        data = {
            "metric": metric,
            "hours": hours,
            "series": [
                {"target": s.target, "least": s.least, "mean": s.mean, "most": s.most,
                 "latest": s.latest, "first": s.first, "samples": s.samples}
                for s in found
            ],
        }  # fmt: skip
        return ToolResult(
            ok=True, summary=f"Over the last {hours} h: {listed(words, most=5)}.", data=data
        )

    return tool


def _words(metric: str, series: Series, unit: str) -> str:
    change = series.latest - series.first
    trend = "steady" if abs(change) < 1 else ("rising" if change > 0 else "falling")
    about = f"{metric} {series.target}".strip()
    return (
        f"{about} now {series.latest:.1f}{unit}, lowest {series.least:.1f}{unit}, average "
        f"{series.mean:.1f}{unit}, highest {series.most:.1f}{unit}, {trend}"
    )

"""From readings to sentences: which readings are worth an event, and what it says. Pure.

Texts are stable: only figures and targets vary, so that one alarm is one pattern. Attributes carry
the same facts for code: metric, target, level ("info" after recovery), value.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from daemon.sources.probes import Reading
from daemon.sources.settings import Limits, MetricsSettings
from daemon.sources.thresholds import Change, Threshold, Transition
from daemon.sources.trend import Trend, Trending
from tiers.vocabulary import Severity

_TRENDING = frozenset(("disk", "inodes"))
_TREND_LIMITS_UP = 3
_TREND_LIMITS_DOWN = 5

_WORDS = {
    "cpu": "processors {value:.0f}% busy",
    "load": "{detail}",
    "memory": "memory {value:.0f}% used, {detail}",
    "swap": "swap {value:.0f}% used, {detail}",
    "pressure_cpu": "tasks waited for a processor {value:.0f}% of the last minute",
    "pressure_memory": "tasks waited for memory {value:.0f}% of the last minute",
    "pressure_io": "tasks waited for storage {value:.0f}% of the last minute",
    "disk": "disk {target} {value:.0f}% full, {detail}",
    "inodes": "disk {target} has {value:.0f}% of its inodes in use",
    "temperature": "temperature of {target} {value:.0f} degrees",
    "file_descriptors": "{value:.0f}% of all file descriptors in use, {detail}",
    "processes": "{value:.0f}% of all process numbers in use, {detail}",
    "zombies": "{value:.0f} zombie processes",
    "mount_unresponsive": "mount {target} does not answer",
}
_NORMAL = {
    "cpu": "processors back to {value:.0f}% busy",
    "load": "load back to normal, {detail}",
    "memory": "memory back to {value:.0f}% used",
    "swap": "swap back to {value:.0f}% used",
    "pressure_cpu": "waiting for processors back to {value:.0f}%",
    "pressure_memory": "waiting for memory back to {value:.0f}%",
    "pressure_io": "waiting for storage back to {value:.0f}%",
    "disk": "disk {target} back to {value:.0f}%",
    "inodes": "inodes of disk {target} back to {value:.0f}%",
    "temperature": "temperature of {target} back to {value:.0f} degrees",
    "file_descriptors": "file descriptors back to {value:.0f}% in use",
    "processes": "process numbers back to {value:.0f}% in use",
    "zombies": "zombie processes back to {value:.0f}",
    "mount_unresponsive": "mount {target} answers again",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One sentence for intake. `level` is `info` when something is over."""

    metric: str
    target: str
    level: Severity
    text: str
    value: float
    trend_seconds: float | None = None

    def attributes(self) -> dict[str, str]:
        result = {
            "metric": self.metric,
            "target": self.target,
            "level": self.level.value,
            "value": f"{self.value:.4g}",
        }
        if self.trend_seconds is not None:
            result["full_in_seconds"] = f"{self.trend_seconds:.0f}"
        return result


class Alarms:
    """The state of every alarm. `levels` (from a cursor) are those that were up before."""

    def __init__(self, *, settings: MetricsSettings, levels: Mapping[str, str]) -> None:
        self._settings = settings
        known = {level.value: level for level in Severity}
        self._restored = {key: known[name] for key, name in levels.items() if name in known}
        self._thresholds: dict[tuple[str, str], Threshold] = {}
        self._trends: dict[tuple[str, str], tuple[Trending, Threshold]] = {}
        self._normal_since: dict[tuple[str, str], float] = {}

    def levels(self) -> dict[str, str]:
        """Alarms that are up, JSON-ready: "metric target" to level."""
        result = {key: level.value for key, level in self._restored.items()}
        for (metric, target), threshold in self._thresholds.items():
            if threshold.level is not None:
                result[f"{metric} {target}"] = threshold.level.value
        for (metric, target), (_, threshold) in self._trends.items():
            if threshold.level is not None:
                result[f"{metric}_trend {target}"] = threshold.level.value
        return result

    def gone_for(self, metric: str, target: str, *, at: float) -> float | None:
        """Seconds since the metric left its last alarm (or was measured first, without one);
        None while an alarm of it is up, or where it is not measured."""
        since = self._normal_since.get((metric, target))
        return None if since is None else at - since

    def note_over(self, metric: str, target: str, *, at: float) -> None:
        """An alarm of a moment (a clock step, an OOM kill) that is over as soon as it is said."""
        self._normal_since[(metric, target)] = at

    def observe(self, reading: Reading, *, at: float) -> list[Alarm]:
        """What one reading changed. `at` is monotonic."""
        key = (reading.name, reading.target)
        limits = self._settings.limits.get(reading.name)
        if limits is None:
            return []
        threshold = self._thresholds.get(key)
        if threshold is None:
            threshold = Threshold(limits=limits, level=self._restored.pop(_key(*key), None))
            self._thresholds[key] = threshold
        alarms = []
        transition = threshold.sample(reading.value)
        trending = reading.name in _TRENDING
        trend = self._trend(key, reading, at=at) if trending else None
        if transition is not None:
            alarms.append(_level_alarm(reading, transition, trend))
        if trending:
            alarms += self._trend_alarm(key, reading, trend, said=bool(alarms))
        up = threshold.level is not None or (trending and self._trends[key][1].level is not None)
        if up:
            self._normal_since.pop(key, None)
        else:
            self._normal_since.setdefault(key, at)
        return alarms

    def forget(self, metric: str, present: set[str]) -> list[Alarm]:
        """Targets of a metric that are no longer there: what was up for them is over."""
        alarms = []
        for key in [k for k in self._thresholds if k[0] == metric and k[1] not in present]:
            threshold = self._thresholds.pop(key)
            self._trends.pop(key, None)
            self._normal_since.pop(key, None)
            if threshold.level is not None:
                alarms.append(
                    Alarm(
                        metric=metric,
                        target=key[1],
                        level=Severity.INFO,
                        text=f"{metric} of {key[1]} is no longer measured, it is gone",
                        value=0.0,
                    )
                )
        return alarms

    def _trend(self, key: tuple[str, str], reading: Reading, *, at: float) -> Trend | None:
        if key not in self._trends:
            metric, target = key
            level = self._restored.pop(_key(f"{metric}_trend", target), None)
            settings = self._settings.trend
            limits = Limits(
                notice=0.0,
                warning=settings.horizon - settings.warning_within,
                critical=settings.horizon - settings.critical_within,
                up_after=_TREND_LIMITS_UP,
                down_after=_TREND_LIMITS_DOWN,
            )
            threshold = Threshold(limits=limits, level=level)
            self._trends[key] = (Trending(settings=settings), threshold)
        trending, _ = self._trends[key]
        trending.sample(at, reading.value)
        return trending.trend()

    def _trend_alarm(
        self, key: tuple[str, str], reading: Reading, trend: Trend | None, *, said: bool
    ) -> list[Alarm]:
        _, threshold = self._trends[key]
        # The sooner it is full, the higher: measured as what is left of the horizon.
        horizon = self._settings.trend.horizon
        transition = threshold.sample(-1.0 if trend is None else horizon - trend.seconds_to_full)
        if transition is None or transition.change is Change.FALL:
            return []
        if transition.change is Change.RECOVERY:
            if said:
                return []
            level, text = Severity.INFO, f"{_what(reading)} no longer grows towards full"
        elif trend is None or transition.level is None:
            return []
        else:
            level = transition.level
            text = f"{_what(reading)} {reading.value:.0f}% full, {_full_in(trend)}"
        return [
            Alarm(
                metric=reading.name,
                target=reading.target,
                level=level,
                text=text,
                value=reading.value,
                trend_seconds=None if trend is None else trend.seconds_to_full,
            )
        ]


def _level_alarm(reading: Reading, transition: Transition, trend: Trend | None) -> Alarm:
    fields = {"target": reading.target, "value": reading.value, "detail": reading.detail}
    if transition.change is Change.RECOVERY:
        text = _NORMAL[reading.name].format(**fields)
    else:
        text = _WORDS[reading.name].format(**fields)
        if transition.change is Change.FALL:
            text += f", down from {transition.before}"
        elif trend is not None:
            text += f", {_full_in(trend)}"
    return Alarm(
        metric=reading.name,
        target=reading.target,
        level=transition.level or Severity.INFO,
        text=text,
        value=reading.value,
        trend_seconds=None if trend is None else trend.seconds_to_full,
    )


def _what(reading: Reading) -> str:
    return f"disk {reading.target}" if reading.name == "disk" else f"inodes of {reading.target}"


def _full_in(trend: Trend) -> str:
    seconds = trend.seconds_to_full
    if seconds < 90:
        return "full within a minute"
    if seconds < 5_400:
        return f"full in {seconds / 60:.0f} min"
    return f"full in {seconds / 3_600:.0f} h"


def _key(metric: str, target: str) -> str:
    return f"{metric} {target}"

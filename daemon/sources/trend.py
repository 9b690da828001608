"""Where a metric is heading: a robust line through its recent values. Pure.

Theil-Sen: the median of the slopes of all pairs, so that up to 29 % of wild samples (a large
temporary file, a missed sample) do not move it. P. K. Sen, "Estimates of the Regression Coefficient
Based on Kendall's Tau", 1968.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections import deque

from daemon.sources.settings import TrendSettings

_MOST_POINTS = 60
"""Pairs grow with the square: 60 points are 1,770 slopes, well below a millisecond."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """`slope` is units per second; `seconds_to_full` counts from the newest sample."""

    slope: float
    seconds_to_full: float


def theil_sen(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Slope and intercept of (x, y) points; needs two different x. Raises
    `statistics.StatisticsError` otherwise."""
    slopes = [
        (y2 - y1) / (x2 - x1)
        for i, (x1, y1) in enumerate(points)
        for x2, y2 in points[i + 1 :]
        if x2 != x1
    ]
    slope = statistics.median(slopes)
    intercept = statistics.median(y - slope * x for x, y in points)
    return slope, intercept


class Trending:
    """Recent values of one metric on one target. Times are monotonic seconds: a clock that is set
    must not look like growth."""

    def __init__(self, *, settings: TrendSettings, full: float = 100.0) -> None:
        self._settings = settings
        self._full = full
        self._points: deque[tuple[float, float]] = deque()

    def sample(self, at: float, value: float) -> None:
        """One more value. Closer than a sixtieth of the window to the one before, it replaces
        that one, so that memory is bounded whatever the interval is."""
        points = self._points
        step = self._settings.window / _MOST_POINTS
        if len(points) >= 2 and at - points[-2][0] < step:
            points[-1] = (at, value)
        else:
            points.append((at, value))
        while points and at - points[0][0] > self._settings.window:
            points.popleft()

    def trend(self) -> Trend | None:
        """Where it is heading; None while it rises too little, too unsteadily, or too slowly to
        be full within the horizon."""
        settings = self._settings
        points = list(self._points)
        if len(points) < 5 or points[-1][0] - points[0][0] < settings.minimum_span:
            return None
        slope, intercept = theil_sen(points)
        span = points[-1][0] - points[0][0]
        rise = slope * span
        if rise < settings.minimum_rise:
            return None
        # Noise that is as large as the rise says nothing: compare with what the line leaves over.
        scatter = statistics.median(abs(y - intercept - slope * x) for x, y in points)
        if rise < 4 * scatter:
            return None
        # Still rising? A burst that ended half a window ago is not a trend.
        third = points[len(points) * 2 // 3 :]
        recent, _ = theil_sen(third) if len(third) >= 3 else (slope, 0.0)
        if recent < slope / 3:
            return None
        # Which end is near counts from where it stands now, not from the line.
        seconds = max(0.0, (self._full - points[-1][1]) / slope)
        if seconds > settings.horizon:
            return None
        return Trend(slope=slope, seconds_to_full=seconds)

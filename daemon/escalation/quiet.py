"""How long an incident has been silent, by clocks that cannot be trusted. Pure but for the clocks.

The wall clock may be set, and the host may sleep; the daemon may have been off. So the silence that
the wall clock shows counts only where it agrees with how long we have been looking.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Hashable

_WARM_UP = 15 * 60.0
"""So long after the start sources may still be delivering what came while the daemon was off."""
_JUMP = 60.0
"""The clocks may drift apart by this much between two looks."""


class QuietTimes:
    """Remembers, by incident, since when nothing has changed. One per watch."""

    def __init__(
        self, *, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        """`wall` is Unix time; `steady` is monotonic."""
        self._wall = wall
        self._steady = steady
        self._started = steady()
        self._last = (wall(), self._started)
        self._jumped = False
        self._unchanged: dict[int, tuple[Hashable, float]] = {}

    def look(self, incidents: Collection[int]) -> None:
        """A round of looking begins, at these incidents; others are forgotten."""
        wall, steady = self._wall(), self._steady()
        if abs((wall - self._last[0]) - (steady - self._last[1])) > _JUMP:
            self._jumped = True
        self._last = (wall, steady)
        for incident in self._unchanged.keys() - set(incidents):
            del self._unchanged[incident]

    def silent_for(self, incident: int, *, last: float, marker: Hashable) -> float:
        """Seconds since anything of it was seen: `last` is Unix time, `marker` changes whenever
        something comes."""
        steady = self._steady()
        known = self._unchanged.get(incident)
        if known is None or known[0] != marker:
            known = self._unchanged[incident] = (marker, steady)
        watched = steady - known[1]
        shown = self._wall() - last
        if self._jumped or shown < 0:
            return watched
        looking = steady - self._started
        return min(shown, looking) if looking < _WARM_UP else shown

"""When a measured value becomes an event: levels with hysteresis. Pure.

States: none -> notice -> warning -> critical and back. A level is reached after `up_after` samples
in a row at or above it, and left after `down_after` samples in a row below it by the margin.
"""

from __future__ import annotations

import dataclasses
import enum

from daemon.sources.settings import Limits
from tiers.vocabulary import Severity


class Change(enum.Enum):
    """What a sample changed."""

    RISE = enum.auto()
    FALL = enum.auto()  # to a lower level that is not none
    RECOVERY = enum.auto()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A change of level. `level` is the new one, None after recovery."""

    change: Change
    level: Severity | None
    before: Severity | None


_LEVELS = (None, Severity.NOTICE, Severity.WARNING, Severity.CRITICAL)


class Threshold:
    """The level of one metric on one target."""

    __slots__ = ("_above", "_below", "_limits", "_rank")

    def __init__(self, *, limits: Limits, level: Severity | None = None) -> None:
        self._limits = limits
        self._rank = _LEVELS.index(level)
        self._above = [0, 0, 0, 0]  # samples in a row at or above level i
        self._below = [0, 0, 0, 0]  # samples in a row that would leave level i

    @property
    def level(self) -> Severity | None:
        return _LEVELS[self._rank]

    def sample(self, value: float) -> Transition | None:
        """One more value. Jumps straight to the highest level that is due."""
        limits = self._limits
        values = (None, limits.notice, limits.warning, limits.critical)
        for rank in (1, 2, 3):
            limit = values[rank]
            reached = limit is not None and value >= limit
            left = limit is None or value < limit - limits.clear_margin
            self._above[rank] = self._above[rank] + 1 if reached else 0
            self._below[rank] = self._below[rank] + 1 if left else 0
        before = self._rank
        for rank in (3, 2, 1):
            if rank > before and self._above[rank] >= limits.up_after:
                self._rank = rank
                return Transition(change=Change.RISE, level=_LEVELS[rank], before=_LEVELS[before])
        while self._rank and self._below[self._rank] >= limits.down_after:
            self._rank -= 1
        # A level that is not configured cannot be held.
        while self._rank and values[self._rank] is None:
            self._rank -= 1
        if self._rank == before:
            return None
        change = Change.FALL if self._rank else Change.RECOVERY
        return Transition(change=change, level=self.level, before=_LEVELS[before])

"""Mutes: "this is intentional". Each has a reason, and conditions on which it rises again."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable

from daemon.intake.state import PatternState
from tiers.vocabulary import Severity


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mute:
    """Silences a pattern, a unit, or texts that contain words. Times are Unix seconds."""

    mute_id: int
    reason: str
    fingerprint: str | None = None
    unit: str | None = None
    contains: str | None = None
    expires_at: float | None = None
    max_per_hour: int | None = None
    max_severity: Severity | None = None

    def covers(self, *, state: PatternState) -> bool:
        """Whether the mute is about this pattern at all. Every part that is given must fit."""
        if self.fingerprint is not None and self.fingerprint != state.fingerprint:
            return False
        if self.unit is not None and self.unit != state.unit:
            return False
        if self.contains is None:
            return True
        words = self.contains.lower()
        return words in state.sample.lower() or words in state.pattern.lower()


class MuteAnswer(enum.StrEnum):
    """What the mutes say about a pattern right now."""

    NOT_MUTED = "not muted"
    MUTED = "muted"
    ROSE_BY_RATE = "muted, but more came than the mute allows"
    ROSE_BY_SEVERITY = "muted, but it is worse than the mute allows"


def consult(mutes: Iterable[Mute], *, state: PatternState, now: float) -> MuteAnswer:
    """What applies to a pattern. One mute that holds is enough; one that rose says why."""
    answer = MuteAnswer.NOT_MUTED
    for mute in mutes:
        if mute.expires_at is not None and now >= mute.expires_at:
            continue
        if not mute.covers(state=state):
            continue
        if mute.max_severity is not None and state.floor.rank >= mute.max_severity.rank:
            answer = MuteAnswer.ROSE_BY_SEVERITY
        elif mute.max_per_hour is not None and state.hour_count > mute.max_per_hour:
            answer = MuteAnswer.ROSE_BY_RATE
        else:
            return MuteAnswer.MUTED
    return answer

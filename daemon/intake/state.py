"""What is known of a pattern while the daemon runs: counts, rates, rule, verdict.

The table `patterns` is the truth; this is its working copy, brought up to date batch by batch.
"""

from __future__ import annotations

import dataclasses
import math

from daemon.intake.topk import TopK
from tiers.vocabulary import Category, Provenance, Severity, SourceKind

BURST_SECONDS = 60.0
"""Bursts are counted in windows of this length."""

RATE_HALF_LIFE = 6 * 3600.0
"""Half of the weight of the usual rate is younger than this, in seconds."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KnownVerdict:
    """The verdict in force, as far as intake needs it."""

    escalate: bool
    severity: Severity
    category: Category
    at: float
    verdict_id: int


@dataclasses.dataclass(slots=True, kw_only=True)
class PatternState:
    """One pattern. Times are Unix seconds of when events occurred; `rate` is per minute."""

    fingerprint: str
    kind: SourceKind
    unit: str
    pattern: str
    sample: str
    provenance: Provenance
    first_seen: float
    last_seen: float
    count: int = 0
    rate: float = 0.0
    rate_at: float = 0.0
    usual_gap: float | None = None
    burst: int = 0
    judged_burst: int = 0
    floor: Severity = Severity.INFO
    rule: str | None = None
    correlation: str | None = None
    verdict: KnownVerdict | None = None
    judging: bool = False
    kept: int = 0
    top: TopK = dataclasses.field(default_factory=TopK)
    window_start: float = -math.inf
    window_count: int = 0
    other_start: float = -math.inf
    other_count: int = 0
    """The window before this one, for lines whose clock is another one's: see `_turn_window`."""
    reached: tuple[str, ...] = ()
    """Rules whose burst was reached."""
    risen: bool = False
    """The last batch was more, or worse, than a mute allows."""
    hour_start: float = -math.inf
    hour_count: int = 0

    def observe(self, *, at: float) -> None:
        """Counts one occurrence. Constant time: this runs for every event.

        A clock that jumps back makes no negative gap.
        """
        self.count += 1
        gap = at - self.last_seen
        if gap > 0:
            self.last_seen = at
            self.usual_gap = gap if self.usual_gap is None else 0.9 * self.usual_gap + 0.1 * gap
        elif at < self.first_seen:
            self.first_seen = at
        if -BURST_SECONDS < at - self.window_start < BURST_SECONDS:
            self.window_count += 1
        else:
            self._turn_window(at)
        if self.window_count > self.burst:
            self.burst = self.window_count

    def _turn_window(self, at: float) -> None:
        """Goes on in the other window if `at` belongs there, else begins a new one instead of it.

        So files of different days, or hosts whose clocks differ, that take turns are each counted
        by their own minutes: neither as one endless burst, nor each line as a minute of its own.
        """
        start, count = self.other_start, self.other_count
        self.other_start, self.other_count = self.window_start, self.window_count
        if -BURST_SECONDS < at - start < BURST_SECONDS:
            self.window_start, self.window_count = start, count + 1
        else:
            self.window_start, self.window_count = at, 1

    def count_hour(self, arrived: int, *, now: float) -> None:
        """Counts what mutes limit, by when it arrived. A clock that jumps begins another hour."""
        if not 0 <= now - self.hour_start < 3600.0:
            self.hour_start, self.hour_count = now, 0
        self.hour_count += arrived

    def settle_rate(self, *, arrived: int) -> None:
        """Brings the usual rate up to date after a batch in which `arrived` occurrences came."""
        elapsed = self.last_seen - self.rate_at
        if elapsed < 1.0:
            elapsed = 1.0
        weight = 1.0 - 0.5 ** (elapsed / RATE_HALF_LIFE)
        self.rate += weight * (arrived * 60.0 / elapsed - self.rate)
        self.rate_at = self.last_seen

    @property
    def escalates(self) -> bool:
        """Whether occurrences belong on an incident by what is known now."""
        if self.floor.rank >= Severity.WARNING.rank:
            return True
        return self.verdict is not None and self.verdict.escalate

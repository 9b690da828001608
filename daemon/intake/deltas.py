"""What a batch changes, as the writer takes it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping

from daemon.events import Event
from daemon.intake.admit import Decision
from daemon.intake.patterns import Alias as NewAlias
from daemon.intake.state import PatternState
from daemon.store.prepared import Alias, PatternDelta, StoredEvent
from tiers.vocabulary import Severity

TOP_VALUES = 10
WHO = frozenset({"ip", "host", "user"})
"""The kinds of values that say who does something."""


@dataclasses.dataclass(slots=True)
class Arrived:
    """What came of one pattern within a batch."""

    state: PatternState
    new: bool
    count: int = 0
    first: float = 0.0
    last: float = 0.0
    attributes: Mapping[str, str] | None = None
    level: Severity | None = None
    matters: bool = False
    escalates: bool = False
    """As the pattern's state has it; that changes only between batches."""
    sampled: int = 0
    """Of so many occurrences the values are counted."""
    who: Counter[tuple[str, str]] = dataclasses.field(default_factory=Counter)
    """Whom this batch's occurrences name, once each; of what may be an incident's only."""


def alias_of(alias: NewAlias) -> Alias:
    return Alias(
        source_kind=alias.kind,
        unit=alias.unit,
        masked=alias.masked,
        fingerprint=alias.fingerprint,
    )


def stored_event(event: Event, fingerprint: str) -> StoredEvent:
    return StoredEvent(
        fingerprint=fingerprint,
        text=event.text,
        unit=event.unit,
        kind=event.kind,
        provenance=event.provenance,
        occurred_at=event.occurred_at,
        priority=event.priority,
        key=event.key,
        attributes=event.attributes,
    )


def delta_of(entry: Arrived, decision: Decision, now: float) -> PatternDelta:
    # Nothing was seen later than now, whatever a source's clock says: silence is measured by it.
    state = entry.state
    return PatternDelta(
        fingerprint=state.fingerprint,
        source_kind=state.kind,
        unit=state.unit,
        pattern=state.pattern,
        sample=state.sample,
        provenance=state.provenance,
        count=entry.count,
        unattached=entry.count if decision.attach else 0,
        first_seen=min(entry.first, now),
        last_seen=min(entry.last, now),
        rate=state.rate,
        rate_at=min(state.rate_at, now),
        usual_gap=state.usual_gap,
        burst=state.burst,
        top_values=tuple(state.top.top(TOP_VALUES)),
        new_values=_most(entry.who) if decision.attach else (),
        floor=state.floor,
        rule=state.rule,
        correlation=state.correlation,
        judge_reason=None if decision.judge is None else decision.judge.value,
        rests_on_verdict=decision.attach and state.verdict is not None,
    )


def _most(who: Counter[tuple[str, str]]) -> tuple[tuple[str, str, int], ...]:
    ranked = sorted(who.items(), key=lambda item: (-item[1], item[0]))
    return tuple((kind, value, count) for (kind, value), count in ranked[:TOP_VALUES])

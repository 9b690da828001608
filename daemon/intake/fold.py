"""A batch through all of intake's decisions: what is kept, what is folded, what is judged.

No I/O: events go in, a `Prepared` batch for the writer comes out. The daemon, `triaged scan` and
the benchmarks run this same code.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from daemon.events import Batch, Event
from daemon.intake.admit import Decision, Limits, Why, admit
from daemon.intake.correlate import known_key
from daemon.intake.mutes import Mute, MuteAnswer, consult
from daemon.intake.patterns import Alias as NewAlias
from daemon.intake.patterns import Pattern, PatternTable
from daemon.intake.rules import Rule, RuleBook
from daemon.intake.state import KnownVerdict, PatternState
from daemon.intake.values import ValueReader
from daemon.store.prepared import Alias, FoldedKey, PatternDelta, Prepared, StoredEvent
from tiers.vocabulary import Provenance, Severity

KEEP_FIRST = 3
"""So many first occurrences are kept whole, then each whose number is a power of two."""

KEEP_ESCALATED = 5
"""So many a minute are kept of a pattern that belongs to an incident."""

MAX_SAMPLE = 2_000
SAMPLED_VALUES = 20
"""Of so many occurrences a batch the values are counted, unless the pattern may be an incident's:
then of all."""

TOP_VALUES = 10
_LEVELS = {severity.value: severity for severity in Severity}


@dataclasses.dataclass(slots=True)
class _Arrived:
    """What came of one pattern within a batch."""

    state: PatternState
    new: bool
    count: int = 0
    first: float = 0.0
    last: float = 0.0
    attributes: Mapping[str, str] | None = None
    level: Severity | None = None
    matters: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A batch that was decided about. `new` are patterns never seen before, `judge` those that a
    model is asked about, each with why; `lines` is the fingerprint of each event, in order, None
    for those that were dropped."""

    prepared: Prepared
    new: tuple[PatternState, ...]
    judge: tuple[tuple[PatternState, Why], ...]
    lines: tuple[str | None, ...]


class Fold:
    """What is known of all patterns, and the decisions that rest on it. One per process."""

    def __init__(
        self,
        *,
        table: PatternTable,
        rules: RuleBook,
        limits: Limits,
        clock: Callable[[], float],
    ) -> None:
        """`clock` is Unix time."""
        self._table = table
        self._rules = rules
        self._limits = limits
        self._clock = clock
        self._values = ValueReader()
        self._states: dict[str, PatternState] = {}
        self._rule_of: dict[str, Rule] = {}
        self._mutes: tuple[Mute, ...] = ()

    @property
    def states(self) -> Mapping[str, PatternState]:
        """By fingerprint."""
        return self._states

    def restore(self, states: Iterable[PatternState]) -> None:
        """Takes over what the store knows, at start or from another daemon."""
        for state in states:
            self._states[state.fingerprint] = state
            rule = self._rules.find(unit=state.unit, text=state.sample)
            if rule is not None:
                self._rule_of[state.fingerprint] = rule

    def set_mutes(self, mutes: Sequence[Mute]) -> None:
        """The mutes in force from now on."""
        self._mutes = tuple(mutes)

    def settle(self, fingerprint: str, verdict: KnownVerdict) -> None:
        """A verdict came: nothing more is asked until something changes."""
        state = self._states.get(fingerprint)
        if state is not None:
            state.verdict = verdict
            state.judging = False
            state.judged_burst = state.burst
            state.burst = 0

    def forget_redelivered(self, counts: Mapping[str, int]) -> None:
        """Takes back occurrences that the store had seen before."""
        for fingerprint, count in counts.items():
            state = self._states.get(fingerprint)
            if state is not None:
                state.count = max(0, state.count - count)

    def batch(self, batch: Batch, *, generation: int | None = None) -> Folded:
        """Decides about a batch. The accounting of the result closes."""
        drops: dict[str, int] = {}
        for loss in batch.losses:
            drops[loss.reason] = drops.get(loss.reason, 0) + loss.count
        events = batch.events
        patterns = self._table.reduce_batch(events)
        _, new_aliases = self._table.drain_new()
        reworded = {alias.fingerprint for alias in new_aliases}
        arrived: dict[str, _Arrived] = {}
        stored: list[StoredEvent] = []
        keys: list[FoldedKey] = []
        lines: list[str | None] = []
        folded = 0
        for event, pattern in zip(events, patterns, strict=True):
            if not event.text or event.text.isspace():
                drops["empty"] = drops.get("empty", 0) + 1
                lines.append(None)
                continue
            fingerprint = pattern.fingerprint
            entry = arrived.get(fingerprint)
            if entry is None:
                entry = self._enter(event, pattern)
                arrived[fingerprint] = entry
            if fingerprint in reworded:
                # The pattern took in another wording: a rule may speak about this one.
                self._match(entry.state, event.text)
            self._count(entry, event)
            lines.append(fingerprint)
            if _keep(entry.state):
                stored.append(_stored(event, fingerprint))
            else:
                folded += 1
                if event.key is not None:
                    keys.append(FoldedKey(fingerprint=fingerprint, key=event.key))
        decided = [(entry, self._decide(entry)) for entry in arrived.values()]
        prepared = Prepared(
            source=batch.source,
            received=batch.received,
            stored=tuple(stored),
            folded=folded,
            folded_keys=tuple(keys),
            drops=drops,
            patterns=tuple(_delta(entry, decision) for entry, decision in decided),
            aliases=tuple(_alias(alias) for alias in new_aliases),
            cursor=batch.cursor,
            generation=generation,
        )
        return Folded(
            prepared=prepared,
            new=tuple(entry.state for entry in arrived.values() if entry.new),
            judge=tuple((e.state, d.judge) for e, d in decided if d.judge is not None),
            lines=tuple(lines),
        )

    def _enter(self, event: Event, pattern: Pattern) -> _Arrived:
        state = self._states.get(pattern.fingerprint)
        new = state is None
        if state is None:
            state = PatternState(
                fingerprint=pattern.fingerprint,
                kind=pattern.kind,
                unit=pattern.unit,
                pattern=pattern.text,
                sample=event.text[:MAX_SAMPLE],
                provenance=event.provenance,
                first_seen=event.occurred_at,
                last_seen=event.occurred_at,
                rate_at=event.occurred_at,
            )
            self._states[pattern.fingerprint] = state
            self._match(state, event.text)
        return _Arrived(
            state=state,
            new=new,
            first=event.occurred_at,
            last=event.occurred_at,
            matters=state.escalates or state.fingerprint in self._rule_of,
        )

    def _match(self, state: PatternState, text: str) -> None:
        rule = self._rules.find(unit=state.unit, text=text)
        known = self._rule_of.get(state.fingerprint)
        if rule is not None and (known is None or rule.severity.rank > known.severity.rank):
            self._rule_of[state.fingerprint] = rule

    def _count(self, entry: _Arrived, event: Event) -> None:
        state = entry.state
        state.observe(at=event.occurred_at)
        entry.count += 1
        if event.occurred_at > entry.last:
            entry.last = event.occurred_at
        elif event.occurred_at < entry.first:
            entry.first = event.occurred_at
        if event.attributes and event.provenance is not Provenance.TEXT:
            entry.attributes = event.attributes
            entry.level = _worse(entry.level, event.attributes.get("level"))
        if entry.count <= SAMPLED_VALUES or entry.matters:
            for kind, value in self._values.read(event.text):
                state.top.add(kind, value)

    def _decide(self, entry: _Arrived) -> Decision:
        state = entry.state
        rule = self._rule_of.get(state.fingerprint)
        if entry.level is not None:
            state.floor = state.floor.at_least(entry.level)
        mute = consult(self._mutes, state=state, now=self._clock()) if self._mutes else None
        decision = admit(
            state=state,
            rule=rule,
            mute=mute or MuteAnswer.NOT_MUTED,
            now=self._clock(),
            limits=self._limits,
        )
        state.settle_rate(arrived=entry.count)
        state.floor, state.rule = decision.floor, decision.rule
        if state.correlation is None:
            in_force = rule if rule is not None and rule.name == decision.rule else None
            state.correlation = known_key(
                unit=state.unit,
                text=state.sample,
                rule_key=None if in_force is None else in_force.correlate,
                provenance=state.provenance,
                attributes=entry.attributes,
            )
        if _measured_calm(entry):
            decision = dataclasses.replace(decision, judge=None, attach=False)
        if decision.judge is not None:
            state.judging = True
        return decision


def _keep(state: PatternState) -> bool:
    count = state.count
    if count <= KEEP_FIRST or count & (count - 1) == 0:
        return True
    return state.escalates and state.window_count <= KEEP_ESCALATED


def _worse(known: Severity | None, level: str | None) -> Severity | None:
    severity = _LEVELS.get(level or "")
    if severity is None:
        return known
    return severity if known is None else known.at_least(severity)


def _measured_calm(entry: _Arrived) -> bool:
    """Our own measurements say their level: where it is calm there is nothing to ask a model."""
    return entry.level is not None and entry.state.floor.rank < Severity.WARNING.rank


def _alias(alias: NewAlias) -> Alias:
    return Alias(
        source_kind=alias.kind,
        unit=alias.unit,
        masked=alias.masked,
        fingerprint=alias.fingerprint,
    )


def _stored(event: Event, fingerprint: str) -> StoredEvent:
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


def _delta(entry: _Arrived, decision: Decision) -> PatternDelta:
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
        first_seen=entry.first,
        last_seen=entry.last,
        rate=state.rate,
        rate_at=state.rate_at,
        usual_gap=state.usual_gap,
        burst=state.burst,
        top_values=tuple(state.top.top(TOP_VALUES)),
        floor=state.floor,
        rule=state.rule,
        correlation=state.correlation,
        judge_reason=None if decision.judge is None else decision.judge.value,
    )

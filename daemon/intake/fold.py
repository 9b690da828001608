"""A batch through all of intake's decisions: what is kept, what is folded, what is judged.

No I/O: events go in, a `Prepared` batch for the writer comes out. The daemon, `triaged scan` and
the benchmarks run this same code.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from daemon.events import Batch, Event
from daemon.intake.admit import Decision, Limits, Why, admit, speaking
from daemon.intake.correlate import known_key
from daemon.intake.deltas import WHO, Arrived, alias_of, delta_of, stored_event
from daemon.intake.mutes import Mute, MuteAnswer, consult
from daemon.intake.pattern import OVERFLOW
from daemon.intake.patterns import Pattern, PatternTable
from daemon.intake.rules import Rule, RuleBook, wording
from daemon.intake.state import KnownVerdict, PatternState
from daemon.intake.topk import LONGEST_VALUE
from daemon.intake.units import steady_unit
from daemon.intake.values import ValueReader
from daemon.store.prepared import FoldedKey, Prepared, StoredEvent
from tiers.vocabulary import Provenance, Severity

KEEP_FIRST = 3
"""So many first occurrences are kept whole, then each whose number is a power of two."""

KEEP_ESCALATED = 5
"""So many a minute are kept of a pattern that belongs to an incident."""

MAX_SAMPLE = 2_000
SAMPLED_VALUES = 20
"""Of so many occurrences a batch the values are counted, unless the pattern may be an incident's:
then of all."""

WELL_KNOWN = 1_000
SAMPLED_WELL_KNOWN = 5
"""After so many occurrences, so few a batch: what is frequent among values is known by then."""

FUTURE = 86_400.0
"""A time further ahead than this is a mistake: the event is taken to have happened now."""

DEFECT = "defect"
"""Drop reason of batches that intake itself could not take apart."""

_LEVELS = {severity.value: severity for severity in Severity}


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
        """Of patterns of the table only: bounded as that is."""
        self._rules_of: dict[str, tuple[Rule, ...]] = {}
        self._recent: dict[str, deque[float]] = {}
        self._mutes: tuple[Mute, ...] = ()

    @property
    def states(self) -> Mapping[str, PatternState]:
        """By fingerprint."""
        return self._states

    def restore(self, states: Iterable[PatternState]) -> None:
        """Takes over what the store knows, at start or from another daemon."""
        for state in states:
            self._states[state.fingerprint] = state
            self._match(state, state.sample, unit=state.unit)

    def set_mutes(self, mutes: Sequence[Mute]) -> None:
        """The mutes in force from now on."""
        self._mutes = tuple(mutes)

    def judging(self) -> Iterator[str]:
        """Fingerprints of the patterns that wait for a verdict."""
        return (state.fingerprint for state in self._states.values() if state.judging)

    def ask_again(self, fingerprint: str) -> None:
        """What was asked about this pattern was never written."""
        state = self._states.get(fingerprint)
        if state is not None:
            state.judging = False

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
        now = self._clock()
        latest = now + FUTURE
        events = batch.events
        patterns = self._table.reduce_batch(events)
        _, new_aliases = self._table.drain_new()
        reworded = {alias.fingerprint for alias in new_aliases}
        wordings: set[tuple[str, str, str]] = set()
        arrived: dict[str, Arrived] = {}
        stored: list[StoredEvent] = []
        keys: list[FoldedKey] = []
        lines: list[str | None] = []
        folded = 0
        for event, pattern in zip(events, patterns, strict=True):
            if not event.text or event.text.isspace():
                drops["empty"] = drops.get("empty", 0) + 1
                lines.append(None)
                continue
            at = event.occurred_at
            if not 0.0 < at < latest:  # NaN is neither
                at = now
            fingerprint = pattern.fingerprint
            entry = arrived.get(fingerprint)
            if entry is None:
                entry = self._enter(event, pattern, at)
                arrived[fingerprint] = entry
            if fingerprint in reworded or pattern.text == OVERFLOW:
                # The pattern took in another wording: a rule may speak about this one.
                words = (fingerprint, event.unit, wording(event.text))
                self._match(entry.state, event.text, unit=event.unit, seen=words in wordings)
                wordings.add(words)
            self._count(entry, event, at)
            lines.append(fingerprint)
            if _keep(entry):
                stored.append(stored_event(event, fingerprint))
            else:
                folded += 1
                if event.key is not None:
                    keys.append(FoldedKey(fingerprint=fingerprint, key=event.key))
        decided = [(entry, self._decide(entry, now)) for entry in arrived.values()]
        prepared = Prepared(
            source=batch.source,
            received=batch.received,
            stored=tuple(stored),
            folded=folded,
            folded_keys=tuple(keys),
            drops=drops,
            patterns=tuple(delta_of(entry, decision, now) for entry, decision in decided),
            aliases=tuple(alias_of(alias) for alias in new_aliases),
            cursor=batch.cursor,
            generation=generation,
        )
        return Folded(
            prepared=prepared,
            new=tuple(entry.state for entry in arrived.values() if entry.new),
            judge=tuple((e.state, d.judge) for e, d in decided if d.judge is not None),
            lines=tuple(lines),
        )

    def refused(self, batch: Batch, *, generation: int | None = None) -> Folded:
        """A batch that brought a defect out: dropped and counted, so that it cannot come again."""
        drops: dict[str, int] = {}
        for loss in batch.losses:
            drops[loss.reason] = drops.get(loss.reason, 0) + loss.count
        if batch.events:
            drops[DEFECT] = drops.get(DEFECT, 0) + len(batch.events)
        prepared = Prepared(
            source=batch.source,
            received=batch.received,
            drops=drops,
            cursor=batch.cursor,
            generation=generation,
        )
        return Folded(prepared=prepared, new=(), judge=(), lines=(None,) * len(batch.events))

    def _enter(self, event: Event, pattern: Pattern, at: float) -> Arrived:
        state = self._states.get(pattern.fingerprint)
        new = state is None
        if state is None:
            state = PatternState(
                fingerprint=pattern.fingerprint,
                kind=pattern.kind,
                unit=pattern.unit,
                pattern=pattern.text,
                sample=event.text[:MAX_SAMPLE],
                # What takes in whatever anybody writes is no more than text.
                provenance=(Provenance.TEXT if pattern.text == OVERFLOW else event.provenance),
                first_seen=at,
                last_seen=at,
                rate_at=at,
            )
            self._states[pattern.fingerprint] = state
            self._match(state, event.text, unit=event.unit)
        escalates = state.escalates
        return Arrived(
            state=state,
            new=new,
            first=at,
            last=at,
            matters=escalates or state.fingerprint in self._rules_of,
            escalates=escalates,
            sampled=SAMPLED_VALUES if state.count < WELL_KNOWN else SAMPLED_WELL_KNOWN,
        )

    def _match(self, state: PatternState, text: str, *, unit: str, seen: bool = False) -> None:
        """`unit` is the event's: a pattern that several units share has none of its own. `seen`:
        the rules were shown the same wording."""
        find = self._rules.find_by_numbers if seen else self._rules.find_all
        found = find(unit=state.unit or steady_unit(unit), text=text)
        if not found:
            return
        known = self._rules_of.get(state.fingerprint, ())
        rules = tuple(sorted({*known, *found}, key=Rule.order))
        self._rules_of[state.fingerprint] = rules
        most = max((rule.burst.count for rule in rules if rule.burst is not None), default=0)
        if most:
            self._recent[state.fingerprint] = deque(
                self._recent.get(state.fingerprint, ()), maxlen=most
            )

    def _count(self, entry: Arrived, event: Event, at: float) -> None:
        state = entry.state
        state.observe(at=at)
        if event.provenance is Provenance.TEXT:
            # Whoever logs can say what systemd says, word for word and under its unit's name: what
            # anybody repeated is vouched for by nobody any more.
            state.provenance = Provenance.TEXT
        entry.count += 1
        if at > entry.last:
            entry.last = at
        elif at < entry.first:
            entry.first = at
        if entry.matters:
            recent = self._recent.get(state.fingerprint)
            if recent is not None:
                recent.append(at)
                self._reach(state, recent)
        if event.attributes and event.provenance is not Provenance.TEXT:
            entry.attributes = event.attributes
            entry.level = _worse(entry.level, event.attributes.get("level"))
        if entry.count <= entry.sampled or entry.matters:
            read = self._values.read(event.text)
            for kind, value in read:
                state.top.add(kind, value)
            if entry.matters:
                entry.who.update({(k, v[:LONGEST_VALUE]) for k, v in read if k in WHO})

    def _reach(self, state: PatternState, recent: deque[float]) -> None:
        """Notes the bursts that the last occurrences make. Times may jump."""
        newest = recent[-1]
        for rule in self._rules_of[state.fingerprint]:
            burst = rule.burst
            if burst is None or rule.name in state.reached or len(recent) < burst.count:
                continue
            if 0 <= newest - recent[-burst.count] <= burst.seconds:
                state.reached = (*state.reached, rule.name)

    def _decide(self, entry: Arrived, now: float) -> Decision:
        state = entry.state
        rule = speaking(self._rules_of.get(state.fingerprint, ()), state=state)
        if entry.level is not None:
            state.floor = state.floor.at_least(entry.level)
        mute = MuteAnswer.NOT_MUTED
        if self._mutes:
            state.count_hour(entry.count, now=now)
            mute = consult(self._mutes, state=state, now=now)
        decision = admit(state=state, rule=rule, mute=mute, now=now, limits=self._limits)
        state.risen = mute in (MuteAnswer.ROSE_BY_RATE, MuteAnswer.ROSE_BY_SEVERITY)
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
        if _measured_calm(entry, decision):
            decision = dataclasses.replace(decision, judge=None, attach=False)
        if decision.judge is not None:
            state.judging = True
        return decision


def _keep(entry: Arrived) -> bool:
    state = entry.state
    count = state.count
    if count <= KEEP_FIRST or count & (count - 1) == 0:
        return True
    return entry.escalates and state.window_count <= KEEP_ESCALATED


def _worse(known: Severity | None, level: str | None) -> Severity | None:
    severity = _LEVELS.get(level or "")
    if severity is None:
        return known
    return severity if known is None else known.at_least(severity)


def _measured_calm(entry: Arrived, decision: Decision) -> bool:
    """Our own measurements say their level: where it is calm there is nothing to ask a model, and
    nothing to count on an incident that a worse level opened."""
    if entry.level is None or entry.level.rank >= Severity.WARNING.rank:
        return False
    return decision.rule is None

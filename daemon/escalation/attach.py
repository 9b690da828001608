"""Counts occurrences on incidents: opens, joins or reopens, in the caller's transaction."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from daemon.escalation import states
from daemon.escalation.conditions import Condition, PatternFacts, condition_for
from daemon.escalation.kinship import Kin, cause_of
from daemon.escalation.leading import Values, added, hosts_of, larger, may_ask_again, new_leader
from daemon.escalation.occurrences import Occurrence, first_of, occurrence_of, show
from daemon.escalation.offers import says_down
from daemon.escalation.states import Happening, State
from daemon.escalation.titles import title_of
from daemon.intake.correlate import UNSURE_KEY, judged_key
from daemon.store import (
    assessments,
    incident_queries,
    incidents,
    patterns,
    transitions,
)
from daemon.store.incidents import How, NewIncident, Opened, PatternCount
from daemon.store.patterns import PatternRow
from daemon.store.work import Work
from tiers.vocabulary import Category, Provenance, Severity

STORM_KEY = "storm"
_STORM_WINDOW = 60.0
_MOST_EVIDENCE = 20
_CAUSES = frozenset({Category.MEMORY})
"""What these say of others stands in their evidence, not always in the title."""
_LIVE = [state.value for state in states.LIVE]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """What became of a pattern's occurrences."""

    opened: Opened
    count: int
    storm: bool


class Attacher:
    """Puts patterns that were escalated on their incidents."""

    def __init__(
        self, *, reopen_seconds: float, max_new_per_minute: int, clock: Callable[[], float]
    ) -> None:
        """`clock` is monotonic."""
        self._reopen_seconds = reopen_seconds
        self._max_new = max_new_per_minute
        self._clock = clock
        self._opened: deque[float] = deque()

    async def attach(
        self, work: Work, *, row: PatternRow, severity: Severity, category: Category
    ) -> Attached | None:
        """Counts what is unattached of a pattern. None when there was nothing to count.

        Bounded: over the limit of new incidents a minute, further ones become one storm.
        """
        taken = await patterns.take_to_attach(work, row.fingerprint)
        if taken is None:
            return None
        gained = taken.values
        if not gained or taken.count >= row.count:
            # All that there ever was: what is known of all time is known of this too.
            gained = larger(gained, row.top_values)
        own = judged_key(unit=row.unit, category=category)
        key = row.correlation or own
        if key == UNSURE_KEY and await incident_queries.is_live(work.connection, own):
            key = own  # not sure alone, but its program is in trouble: it belongs there
        if key == UNSURE_KEY:
            severity = Severity.WARNING  # nobody vouches for more, and meta has better to do
        live = await incident_queries.is_live(work.connection, key)
        storm = self._storming() and not live
        said = None if live else await occurrence_of(work, row, naming=hosts_of(gained))
        condition = Condition() if storm else condition_for([_facts(row)])
        opened = await incidents.open_or_join(
            work,
            NewIncident(
                severity=severity,
                category=category,
                title=_title(row, said or first_of(row), key=STORM_KEY if storm else key),
                unit="" if storm or key == UNSURE_KEY else row.unit,
                correlation=STORM_KEY if storm else key,
                at=row.last_seen,
                condition=condition.to_json(),
                fingerprints=(row.fingerprint,),
            ),
            reopen_seconds=self._reopen_seconds,
        )
        recent, fresh = await _feed(work, opened, row, taken.count, gained)
        if fresh or opened.how is not How.JOINED:
            said = said or await occurrence_of(work, row, naming=hosts_of(gained))
            await show(work, opened.incident.id, row, said, count=recent)
        await _widen(work, opened, condition)
        if opened.how is not How.JOINED:
            self._opened.append(self._clock())
        if fresh and not storm:
            await self._link(work, opened)
        if opened.worsened:
            await _reopen_for_review(work, opened, row, why=f"now {opened.incident.severity.value}")
        elif fresh and await _is_first_of_down(work, opened, row):
            await _reopen_for_review(work, opened, row, why="systemd says now that it is down")
        elif leader := await _new_leader(work, opened):
            said = await occurrence_of(work, row, naming=(leader,))
            if not fresh:
                await show(work, opened.incident.id, row, said, count=recent)
            why = f"{leader} leads now, of which the last answer did not know"
            await _reopen_for_review(work, opened, row, why=why, said=said)
        return Attached(opened=opened, count=taken.count, storm=storm)

    async def _link(self, work: Work, opened: Opened) -> None:
        """Looks for a cause among the live incidents, and for what this one is the cause of."""
        live = await incident_queries.listing(
            work.connection, incident_queries.IncidentFilter(states=_LIVE), limit=50
        )
        kin = {i.id: await _kin(work, i) for i in live}
        own = await _kin(work, opened.incident)
        parent = cause_of(own, [k for k in kin.values() if k.incident_id != own.incident_id])
        if parent is not None:
            await incidents.set_parent(work, child=own.incident_id, parent=parent)
            return
        for other in kin.values():
            if other.parent_id is None and cause_of(other, [own]) is not None:
                await incidents.set_parent(work, child=other.incident_id, parent=own.incident_id)

    def _storming(self) -> bool:
        now = self._clock()
        while self._opened and now - self._opened[0] > _STORM_WINDOW:
            self._opened.popleft()
        return len(self._opened) >= self._max_new


async def _feed(
    work: Work, opened: Opened, row: PatternRow, count: int, gained: Values
) -> tuple[int, bool]:
    """Counts on an incident that is locked. Returns how many are recent, and whether the
    pattern was not known there."""
    shown = await incident_queries.patterns_of(work.connection, opened.incident.id)
    known = next((entry for entry in shown if entry.fingerprint == row.fingerprint), None)
    await incidents.add_patterns(
        work,
        incident_id=opened.incident.id,
        counts=[
            PatternCount(
                fingerprint=row.fingerprint,
                count=count,
                first_at=row.first_seen if count >= row.count else row.last_seen,
                last_at=row.last_seen,
                top_values=added(known.top_values if known else (), gained, most=count),
                recent_values=added(known.recent_values if known else (), gained, most=count),
            )
        ],
    )
    return (known.recent_count if known else 0) + count, known is None


async def _new_leader(work: Work, opened: Opened) -> str | None:
    """A host that leads since the incident was answered, if it may be asked about already."""
    if State(opened.incident.state) not in (State.WATCHING, State.ATTENTION):
        return None
    shown = await incident_queries.patterns_of(work.connection, opened.incident.id)
    leader = new_leader(shown)
    if leader is None:
        return None
    answers = await assessments.of_incident(work.connection, opened.incident.id)
    return leader if may_ask_again([a.at for a in answers], now=datetime.now(tz=UTC)) else None


async def _is_first_of_down(work: Work, opened: Opened, row: PatternRow) -> bool:
    """Whether only this says that a unit is down: what the tiers knew of the incident were other
    lines, and more can be done about a unit that is."""
    if not says_down(provenance=row.provenance, text=row.sample):
        return False
    evidence = await incident_queries.evidence_of(work.connection, opened.incident.id)
    return not any(
        says_down(provenance=entry.provenance, text=entry.text)
        for entry in evidence
        if entry.fingerprint != row.fingerprint
    )


async def _widen(work: Work, opened: Opened, condition: Condition) -> None:
    """What joins or returns may bring a unit or a metric that has to be well again too."""
    stored = Condition.from_json(opened.incident.condition)
    wider = stored.with_also(condition)
    if opened.how is not How.OPENED and wider != stored:
        await incidents.set_condition(
            work, incident_id=opened.incident.id, condition=wider.to_json()
        )


async def _reopen_for_review(
    work: Work, opened: Opened, row: PatternRow, *, why: str, said: Occurrence | None = None
) -> None:
    """An incident that was understood, and of which more is known now, is looked at again,
    under the title of what was `said`."""
    incident = opened.incident
    state = State(incident.state)
    if state not in (State.WATCHING, State.ATTENTION):
        return
    words = row.sample if said is None else said.text
    title = title_of(unit=row.unit, text=words, rule=row.rule)
    await transitions.apply(
        work,
        [
            transitions.Transition(
                incident_id=incident.id,
                from_state=state.value,
                fence=incident.fence,
                to_state=states.after(state, Happening.WORSENED).value,
                happening=Happening.WORSENED.value,
                actor="daemon",
                reason=f"{why}: {title}",
                title=None if said is None else title,
                attempts=0,
                detail={"fingerprints": [row.fingerprint]},
            )
        ],
    )


def _title(row: PatternRow, said: Occurrence, *, key: str) -> str:
    if key == STORM_KEY:
        return "Storm: more incidents a minute than are opened one by one"
    if key == UNSURE_KEY:
        return "Patterns that may need attention; the trigger tier is not sure about any of them"
    return title_of(unit=row.unit, text=said.text, rule=row.rule)


def _facts(row: PatternRow) -> PatternFacts:
    key = row.correlation or ""
    unit = metric = None
    if row.provenance == Provenance.SYSTEMD.value and key.startswith("unit:"):
        name = key.removeprefix("unit:")
        unit = name if "." in name else f"{name}.service"
    if key.startswith("measured:"):
        _, name, target = key.split(":", 2)
        metric = (name, target)
    return PatternFacts(unit=row.unit, usual_gap=row.usual_gap, failed_unit=unit, metric=metric)


async def _kin(work: Work, incident: incidents.Incident) -> Kin:
    text = incident.title
    if incident.category in _CAUSES:
        evidence = await incident_queries.evidence_of(work.connection, incident.id)
        text = "\n".join([text, *(entry.text for entry in evidence[:_MOST_EVIDENCE])])
    return Kin(
        incident_id=incident.id,
        category=incident.category,
        unit=incident.unit,
        correlation=incident.correlation,
        text=text,
        opened_at=incident.opened_at,
        parent_id=incident.parent_id,
    )

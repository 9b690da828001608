"""What a tier is given to think about: evidence best first, facts, causes and actions that fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence

from daemon.escalation.conditions import Condition
from daemon.escalation.hogs import find_hogs
from daemon.escalation.leading import Values, leading_now, recents
from daemon.escalation.measure import UnitTimes, steady_units
from daemon.escalation.offers import Grounds, Hog, Offer, offers_for
from daemon.store import action_past, actions, assessments, events, incident_queries, patterns
from daemon.store.action_past import OutcomeRow
from daemon.store.actions import ActionRow
from daemon.store.assessments import AssessmentRow
from daemon.store.incident_queries import EvidenceRow, IncidentPattern
from daemon.store.incidents import Incident, Recent
from daemon.store.pool import Database
from tiers.causes import causes_for
from tiers.contracts import Case, Evidence, Recall
from tiers.vocabulary import Provenance

HostFacts = Callable[[], Awaitable[tuple[tuple[str, str], ...]]]
"""A few facts about the host right now, as (name, value). Bounded in time by itself."""

_STEADY = 60.0
"""Seconds after which a unit that runs again is not acted on for what was said of it before."""
_BACK = 10.0
"""... and after which nobody need start it: in a loop it runs for moments too."""
MAX_EVIDENCE = 40
_MAX_TEXT = 1_500
_TRUST = {
    Provenance.MEASURED.value: 0,
    Provenance.KERNEL.value: 1,
    Provenance.SYSTEMD.value: 2,
    Provenance.OPERATOR.value: 3,
    Provenance.TEXT.value: 4,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything that the store knows of an incident."""

    incident: Incident
    evidence: Sequence[EvidenceRow]
    patterns: Sequence[IncidentPattern]
    assessments: Sequence[AssessmentRow]
    actions: Sequence[ActionRow]
    rule: str | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """A case, and what stands behind each action that it offers, by its code. `tried` are codes of
    actions that were asked for before, for this incident; `well` are units of it that run again.
    `leading` are whom it names most now, `rests_on` what it counts of each pattern since it was
    last settled."""

    case: Case
    offers: Mapping[str, Offer]
    tried: frozenset[str] = frozenset()
    well: frozenset[str] = frozenset()
    leading: Values = ()
    rests_on: Sequence[Recent] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Actable:
    """What may be acted on, as far as offers need it: this host's name, the folders that may be
    cleaned, and the names of certificates that may be renewed."""

    host: str = ""
    paths: Sequence[str] = ()
    certificates: Sequence[str] = ()


class Casebook:
    """Builds cases. Reads the store and memory; holds nothing open while a tier thinks."""

    def __init__(
        self,
        *,
        database: Database,
        recall: Recall,
        facts: HostFacts,
        similar: int,
        actable: Actable | None = None,
        units: UnitTimes = steady_units,
    ) -> None:
        """`units` asks systemd; None from it: there is no systemd to ask."""
        self._database = database
        self._recall = recall
        self._facts = facts
        self._similar = similar
        self._actable = actable or Actable()
        self._units = units

    async def open(self, incident: Incident) -> CaseFile:
        """The case of an incident as it is now."""
        found = await self._findings(incident)
        ordered = ordered_evidence(found)
        leading = leading_now(found.patterns)
        similar = await self._recall.similar(
            text=memory_text(incident.title, found.patterns), limit=self._similar
        )
        condition = Condition.from_json(incident.condition)
        well = (await self._units(condition.units) if condition.units else None) or {}
        foreign = await self._foreign(found.evidence)
        offers = offers_for(
            Grounds(
                category=incident.category,
                condition=condition,
                rule=found.rule,
                evidence=[_here(row, foreign) for row in found.evidence],
                patterns=found.patterns,
                leading=leading,
                paths=self._actable.paths,
                certificates=self._actable.certificates,
                hogs=() if foreign else await _hogs(condition),
                steady=frozenset(unit for unit, since in well.items() if since >= _STEADY),
            )
        )
        case = Case(
            incident_id=incident.id,
            title=incident.title,
            severity=incident.severity,
            category=incident.category,
            opened_at=incident.opened_at,
            evidence=ordered,
            facts=(
                *await self._facts(),
                *_figures(incident, leading),
                *await self._outcomes(offers),
                *_done_so_far(found.actions),
            ),
            similar=tuple(past for past in similar if past.incident_id != incident.id),
            causes=causes_for(incident.category),
            actions=tuple(offer.choice for offer in offers.values()),
            earlier=tuple(f"{said.tier}: {said.summary}" for said in found.assessments[-3:]),
        )
        tried = frozenset(f"{row.kind}:{row.target}" for row in found.actions)
        return CaseFile(
            case=case,
            offers=offers,
            tried=tried,
            well=_back(well),
            leading=leading,
            rests_on=recents(found.patterns),
        )

    async def _foreign(self, evidence: Sequence[EvidenceRow]) -> frozenset[str]:
        """Patterns that were seen on another host last. Daemons of several hosts may share one
        database, and what systemd says there is no reason to act here."""
        if not self._actable.host:
            return frozenset()  # nothing is acted on
        own = f"{self._actable.host}/"
        vouched = {row.fingerprint for row in evidence if row.provenance != Provenance.TEXT.value}
        async with self._database.connection() as connection:
            sources = await events.newest_sources(connection, [f for f in vouched if f])
        return frozenset(
            fingerprint
            for fingerprint, source in sources.items()
            if "/" in source and not source.startswith(own)
        )

    async def _outcomes(self, offers: Mapping[str, Offer]) -> tuple[tuple[str, str], ...]:
        """What was measured after the offered actions, when they were done before."""
        pairs = [(offer.choice.action, offer.choice.target) for offer in offers.values()]
        if not pairs:
            return ()
        async with self._database.connection() as connection:
            rows = await action_past.outcomes(connection, host=self._actable.host, actions=pairs)
        return tuple(_outcome(row) for row in rows)

    async def _findings(self, incident: Incident) -> Findings:
        async with self._database.connection() as connection:
            shown = await incident_queries.patterns_of(connection, incident.id)
            rows = await patterns.get(connection, [entry.fingerprint for entry in shown[:50]])
            return Findings(
                incident=incident,
                evidence=await incident_queries.evidence_of(connection, incident.id),
                patterns=shown,
                assessments=await assessments.of_incident(connection, incident.id),
                actions=await actions.listing(connection, incident_id=incident.id, limit=50),
                rule=next((row.rule for row in rows if row.rule), None),
            )


def ordered_evidence(found: Findings) -> tuple[Evidence, ...]:
    """Best first: who vouches for it, then what is said now, how often it came, and when."""
    counts = counts_of(found.evidence, found.patterns)
    recent = {entry.fingerprint for entry in found.patterns if entry.recent_count}
    last = {row.fingerprint: row.ref for row in found.evidence}
    now = {row.ref for row in found.evidence if row.fingerprint in recent} & set(last.values())
    evidence = [
        Evidence(
            ref=row.ref,
            provenance=Provenance(row.provenance),
            source=row.source,
            text=row.text[:_MAX_TEXT],
            at=row.at,
            count=counts[row.ref],
        )
        for row in found.evidence
    ]
    evidence.sort(key=lambda e: (_TRUST[e.provenance.value], e.ref not in now, -e.count, e.at))
    return tuple(evidence[:MAX_EVIDENCE])


def counts_of(
    evidence: Sequence[EvidenceRow], shown: Sequence[IncidentPattern]
) -> Mapping[str, int]:
    """How many occurrences each piece of evidence stands for today, by its reference. Of several
    pieces of one pattern the last stands for what came since it was added."""
    counts = {row.ref: row.count for row in evidence}
    totals = {entry.fingerprint: entry.count for entry in shown}
    last = {row.fingerprint: row.ref for row in evidence if row.fingerprint in totals}
    for fingerprint, ref in last.items():
        earlier = sum(
            row.count for row in evidence if row.fingerprint == fingerprint and row.ref != ref
        )
        counts[ref] = max(1, totals[fingerprint or ""] - earlier)
    return counts


def _here(row: EvidenceRow, foreign: frozenset[str]) -> EvidenceRow:
    """Evidence as it counts on this host."""
    if row.fingerprint not in foreign:
        return row
    return dataclasses.replace(row, provenance=Provenance.TEXT.value)


def memory_text(title: str, shown: Sequence[IncidentPattern]) -> str:
    """What similarity is measured on: the title and the patterns, without changing parts."""
    return "\n".join([title, *(f"{entry.unit} {entry.pattern}" for entry in shown[:10])])


def _back(well: Mapping[str, float]) -> frozenset[str]:
    return frozenset(unit for unit, since in well.items() if since >= _BACK)


async def _hogs(condition: Condition) -> tuple[Hog, ...]:
    hogs: dict[str, Hog] = {}
    for metric, _ in condition.metrics:
        hogs |= {hog.target: hog for hog in await find_hogs(metric)}
    return tuple(hogs.values())


def _outcome(row: OutcomeRow) -> tuple[str, str]:
    last = "worked" if row.last_done else "did not work"
    words = (
        f"worked {_times(row.done)}, failed {_times(row.failed)}; "
        f"last {row.last_at:%Y-%m-%d}: {last}"
    )
    return f"{row.kind} {row.target} so far", words


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _done_so_far(rows: Sequence[ActionRow]) -> tuple[tuple[str, str], ...]:
    """Actions for this very incident, oldest first, in words of code."""
    ended = [row for row in rows if row.state in ("done", "failed", "unknown", "denied")]
    return tuple((f"{row.sentence} for this incident", row.state) for row in reversed(ended[:5]))


def _figures(
    incident: Incident, leading: Sequence[tuple[str, str, int]]
) -> tuple[tuple[str, str], ...]:
    figures = [("events of this incident", str(incident.event_count))]
    for kind in ("ip", "host", "user"):
        named = [f"{value} ({count})" for k, value, count in leading if k == kind][:5]
        if named:
            figures.append((f"most frequent {kind}", ", ".join(named)))
    if incident.reopened:
        figures.append(("times it came back", str(incident.reopened)))
    return tuple(figures)

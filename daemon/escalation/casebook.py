"""What a tier is given to think about: evidence best first, facts, causes and actions that fit."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from daemon.escalation.conditions import Condition
from daemon.escalation.suggestions import offered_actions
from daemon.store import assessments, incident_queries, patterns
from daemon.store.assessments import AssessmentRow
from daemon.store.incident_queries import EvidenceRow, IncidentPattern
from daemon.store.incidents import Incident
from daemon.store.pool import Database
from tiers.causes import causes_for
from tiers.contracts import Case, Evidence, Recall
from tiers.vocabulary import Provenance

HostFacts = Callable[[], Awaitable[tuple[tuple[str, str], ...]]]
"""A few facts about the host right now, as (name, value). Bounded in time by itself."""

_MAX_EVIDENCE = 40
_MAX_TEXT = 1_500
_TRUST = {
    Provenance.MEASURED.value: 0,
    Provenance.KERNEL.value: 1,
    Provenance.SYSTEMD.value: 2,
    Provenance.OPERATOR.value: 3,
    Provenance.TEXT.value: 4,
}
_LEADING_KINDS = {"ip", "host", "user"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything that the store knows of an incident."""

    incident: Incident
    evidence: Sequence[EvidenceRow]
    patterns: Sequence[IncidentPattern]
    assessments: Sequence[AssessmentRow]
    rule: str | None


class Casebook:
    """Builds cases. Reads the store and memory; holds nothing open while a tier thinks."""

    def __init__(
        self, *, database: Database, recall: Recall, facts: HostFacts, similar: int
    ) -> None:
        self._database = database
        self._recall = recall
        self._facts = facts
        self._similar = similar

    async def case(self, incident: Incident) -> Case:
        """The case of an incident as it is now."""
        found = await self._findings(incident)
        ordered = ordered_evidence(found)
        leading = leading_values(found.patterns)
        similar = await self._recall.similar(
            text=memory_text(incident.title, found.patterns), limit=self._similar
        )
        condition = Condition.from_json(incident.condition)
        return Case(
            incident_id=incident.id,
            title=incident.title,
            severity=incident.severity,
            category=incident.category,
            opened_at=incident.opened_at,
            evidence=ordered,
            facts=(*await self._facts(), *_figures(incident, leading)),
            similar=tuple(past for past in similar if past.incident_id != incident.id),
            causes=causes_for(incident.category),
            actions=offered_actions(
                category=incident.category,
                failed_units=condition.units,
                leading=leading,
                rule=found.rule,
            ),
            earlier=tuple(f"{said.tier}: {said.summary}" for said in found.assessments[-3:]),
        )

    async def _findings(self, incident: Incident) -> Findings:
        async with self._database.connection() as connection:
            shown = await incident_queries.patterns_of(connection, incident.id)
            rows = await patterns.get(connection, [entry.fingerprint for entry in shown[:50]])
            return Findings(
                incident=incident,
                evidence=await incident_queries.evidence_of(connection, incident.id),
                patterns=shown,
                assessments=await assessments.of_incident(connection, incident.id),
                rule=next((row.rule for row in rows if row.rule), None),
            )


def ordered_evidence(found: Findings) -> tuple[Evidence, ...]:
    """Best first: who vouches for it, then how often it came, then when. Counts are today's."""
    counts = {entry.fingerprint: entry.count for entry in found.patterns}
    evidence = [
        Evidence(
            ref=row.ref,
            provenance=Provenance(row.provenance),
            source=row.source,
            text=row.text[:_MAX_TEXT],
            at=row.at,
            count=counts.get(row.fingerprint or "", row.count),
        )
        for row in found.evidence
    ]
    evidence.sort(key=lambda e: (_TRUST[e.provenance.value], -e.count, e.at))
    return tuple(evidence[:_MAX_EVIDENCE])


def leading_values(
    shown: Sequence[IncidentPattern], *, limit: int = 10
) -> tuple[tuple[str, str, int], ...]:
    """The remote hosts and users that an incident's patterns name most, as (kind, value, count).

    The same value in several patterns of one incident is one attacker: its largest count stands,
    because the patterns are often several lines about each attempt.
    """
    most: Counter[tuple[str, str]] = Counter()
    for entry in shown:
        for kind, value, count in entry.top_values:
            if str(kind) in _LEADING_KINDS:
                pair = (str(kind), str(value))
                most[pair] = max(most[pair], int(count))
    ranked = sorted(most.items(), key=lambda item: (-item[1], item[0]))
    return tuple((kind, value, count) for (kind, value), count in ranked[:limit])


def memory_text(title: str, shown: Sequence[IncidentPattern]) -> str:
    """What similarity is measured on: the title and the patterns, without changing parts."""
    return "\n".join([title, *(f"{entry.unit} {entry.pattern}" for entry in shown[:10])])


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

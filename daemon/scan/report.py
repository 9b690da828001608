"""What a scan found: one object, checked before it is printed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from api.ports import IncidentDetail


class AccountingError(Exception):
    """Lines do not add up. A defect, and never silent."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ScanReport:
    """`lines = folded + judged + dropped`. `calls` are model calls by tier; `problems` are
    sentences about files that could not be read and tiers that did not answer."""

    files: int
    lines: int
    patterns: int
    folded: int
    judged: int
    dropped: int
    calls: Mapping[str, int]
    incidents: Sequence[IncidentDetail]
    seconds: float
    problems: Sequence[str]

    def __post_init__(self) -> None:
        if self.lines != self.folded + self.judged + self.dropped:
            raise AccountingError(
                f"{self.lines} lines were read, but {self.folded} folded + {self.judged} judged + "
                f"{self.dropped} dropped make {self.folded + self.judged + self.dropped}"
            )
        if self.judged > self.patterns or self.folded < 0:
            raise AccountingError(
                f"{self.judged} lines were judged, but there are only {self.patterns} patterns"
            )

    def to_json(self) -> dict[str, Any]:
        """The object that `--json` prints."""
        return {
            "files": self.files,
            "lines": self.lines,
            "patterns": self.patterns,
            "folded": self.folded,
            "judged": self.judged,
            "dropped": self.dropped,
            "calls": dict(self.calls),
            "incidents": [incident_json(detail) for detail in self.incidents],
            "seconds": round(self.seconds, 3),
            "problems": list(self.problems),
        }


def incident_json(detail: IncidentDetail) -> dict[str, Any]:
    """An incident of a scan."""
    incident = detail.incident
    said = detail.assessments[-1] if detail.assessments else None
    return {
        "id": incident.id,
        "title": incident.title,
        "summary": headline(detail),
        "severity": incident.severity.value,
        "category": incident.category.value,
        "state": incident.state,
        "unit": incident.unit,
        "count": incident.event_count,
        "patterns": len(detail.verdicts),
        "probability": max((verdict.probability for verdict in detail.verdicts), default=None),
        "leading": [
            {"kind": kind, "value": value, "count": count} for kind, value, count in detail.leading
        ],
        "cause": said.cause if said is not None else None,
        "assessment": said.summary if said is not None else None,
        "assessed": incident.assessed,
        "parent": incident.parent_id,
        "evidence": [
            {"ref": entry.ref, "count": entry.count, "text": entry.text[:500]}
            for entry in detail.evidence[:20]
        ],
    }


def headline(detail: IncidentDetail) -> str:
    """The incident in a sentence: how often, and who leads."""
    incident = detail.incident
    words = f"{incident.title} - {incident.event_count} events"
    hosts = [f"{v} ({n})" for kind, v, n in detail.leading if kind in ("ip", "host")][:5]
    users = [f"{v} ({n})" for kind, v, n in detail.leading if kind == "user"][:3]
    if hosts:
        words += f"; leading remote hosts: {', '.join(hosts)}"
    if users:
        words += f"; leading users: {', '.join(users)}"
    return words

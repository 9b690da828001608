"""A case in the short form that the bundled models know, and the schemas of their answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tiers.contracts import Case, Disposition, Evidence
from tiers.nano.cause_scores import shortlist
from tiers.nano.text import one_line
from tiers.vocabulary import Severity

MAX_EVIDENCE = 8
MAX_EVIDENCE_TEXT = 200
MAX_FACTS = 8
MAX_SIMILAR = 2
MAX_EARLIER = 1
MAX_ACTIONS = 12
MAX_SUMMARY = 200


def case_text(case: Case, causes: Sequence[str]) -> str:
    """Everything the model is shown of a case. `causes` are the codes to choose from. Evidence is
    quoted: one line each, marked `|`."""
    lines = [f"{case.category} {case.severity}: {one_line(case.title, 120)}"]
    facts = [f"{one_line(k, 30)}={one_line(v, 60)}" for k, v in case.facts[:MAX_FACTS]]
    if facts:
        lines.append("facts: " + "; ".join(facts))
    lines.extend(
        f"past: {past.cause} {one_line(past.outcome, 60)}" for past in case.similar[:MAX_SIMILAR]
    )
    lines.extend(f"before: {one_line(said, 160)}" for said in case.earlier[:MAX_EARLIER])
    lines.extend(_evidence_line(item) for item in case.evidence[:MAX_EVIDENCE])
    lines.append("causes: " + " ".join(causes))
    lines.append("actions: " + (" ".join(action_codes(case)) or "-"))
    return "\n".join(lines)


def _evidence_line(item: Evidence) -> str:
    source = one_line(item.source, 40) or "-"
    text = one_line(item.text, MAX_EVIDENCE_TEXT)
    return f"{item.ref} x{item.count} {item.provenance} {source} | {text}"


def cause_codes(case: Case) -> list[str]:
    """The causes that the answer may name: those of the case that its words speak for."""
    return shortlist(case)


def action_codes(case: Case) -> list[str]:
    return [one_line(action.code, 80) for action in case.actions[:MAX_ACTIONS]]


def refs(case: Case) -> list[str]:
    return [item.ref for item in case.evidence[:MAX_EVIDENCE]]


def assessment_schema(case: Case, causes: Sequence[str]) -> dict[str, Any]:
    """The keys stand in the order in which the model was taught to think."""
    return _object(
        {
            "cause": _one_of(causes),
            "severity": _one_of(list(Severity)),
            "disposition": _one_of(list(Disposition)),
            "evidence": _some_of(refs(case), 4),
            "actions": _some_of(action_codes(case), 2),
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "summary": {"type": "string", "maxLength": MAX_SUMMARY},
        }
    )


def plan_schema(case: Case, causes: Sequence[str]) -> dict[str, Any]:
    return _object(
        {
            "cause": _one_of(causes),
            "severity": _one_of(list(Severity)),
            "evidence": _some_of(refs(case), 4),
            "steps": _some_of(action_codes(case), 3),
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "summary": {"type": "string", "maxLength": MAX_SUMMARY},
        }
    )


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _one_of(codes: Sequence[str]) -> dict[str, Any]:
    return {"type": "string", "enum": [str(code) for code in codes]}


def _some_of(codes: Sequence[str], most: int) -> dict[str, Any]:
    if not codes:
        return {"type": "array", "items": {"type": "string"}, "maxItems": 0}
    return {"type": "array", "items": _one_of(codes), "maxItems": min(most, len(codes))}

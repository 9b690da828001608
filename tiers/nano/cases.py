"""A case in the short form that the bundled models know, and the schemas of their answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tiers.contracts import Case, Disposition, Evidence
from tiers.nano.cause_scores import bearing, shortlist
from tiers.nano.demands import without_demands
from tiers.nano.text import one_line
from tiers.vocabulary import Severity

MAX_EVIDENCE = 8
MAX_EVIDENCE_TEXT = 200
MAX_FACTS = 8
MAX_SIMILAR = 2
MAX_EARLIER = 1
MAX_ACTIONS = 12
MAX_SUMMARY = 200
MOST = {"evidence": 4, "actions": 2, "steps": 3}
"""How many refs or codes an answer names."""


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
            "disposition": _one_of(_dispositions(case)),
            "evidence": _cited(case, causes),
            "actions": _some_of(action_codes(case), MOST["actions"]),
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "summary": _summary(case, causes),
        }
    )


def plan_schema(case: Case, causes: Sequence[str]) -> dict[str, Any]:
    return _object(
        {
            "cause": _one_of(causes),
            "severity": _one_of(list(Severity)),
            "evidence": _cited(case, causes),
            "steps": _some_of(action_codes(case), MOST["steps"]),
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "summary": _summary(case, causes),
        }
    )


def _dispositions(case: Case) -> list[str]:
    return [each for each in Disposition if case.actions or each is not Disposition.ACT]


def _cited(case: Case, causes: Sequence[str]) -> dict[str, Any]:
    """Refs that bear on what may be answered: at least one, where there is evidence."""
    shown = refs(case)
    bear = [ref for ref in bearing(case, causes) if ref in shown]
    schema = _some_of(bear or shown, MOST["evidence"])
    return {**schema, "minItems": 1} if shown else schema


def _summary(case: Case, causes: Sequence[str]) -> dict[str, Any]:
    """A line of the evidence that may be cited, word for word: a small model copies badly, and a
    summary that nearly says what a log says is worse than none."""
    bear = bearing(case, causes)
    lines = [_told(item) for item in case.evidence[:MAX_EVIDENCE] if item.ref in bear]
    told = list(dict.fromkeys(line for line in lines if line))
    return _one_of(told) if told else {"type": "string", "maxLength": MAX_SUMMARY}


def _told(item: Evidence) -> str:
    times = f" ({item.count} times)" if item.count > 1 else ""
    text = one_line(without_demands(item.text), MAX_SUMMARY - len(times))
    return text + times if text else ""


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

"""Puts a case together: what shows the cause, what stands beside it, and what misleads."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import Final

from tiers.causes import all_causes
from tiers.contracts import INSUFFICIENT_EVIDENCE, Case, Disposition, Evidence
from tiers.vocabulary import Category, Provenance, Severity
from training.data.cases import evidence, offers
from training.data.cases import surroundings as around
from training.data.cases.evidence import Line
from training.data.cases.knowledge import EXPECTED_CHANGE, KNOWLEDGE, NOISE
from training.data.events import hostile, slots
from training.data.events.slots import Context, between, pick
from training.data.samples import CaseSample

MAX_SUMMARY: Final = 160


@dataclasses.dataclass(frozen=True, slots=True)
class _Item:
    """A line of the case. `said` is what it says without any demand that was put into it."""

    line: Line
    shows: bool
    said: Line
    vague: bool = False


def build(rng: random.Random, cause: str) -> CaseSample:
    """A case whose right answer is `cause`."""
    context: Context = {}
    shown = _shown(rng, cause, context)
    items = [*(_Item(line, True, line) for line in shown), *_beside(rng, cause, shown, context)]
    items = _misled(rng, items[:8])
    refs = [f"E{number}" for number in range(1, len(items) + 1)]
    order = rng.random()
    if order < 0.55:
        rng.shuffle(items)
    if 0.35 < order < 0.85:
        pairs = sorted(zip(refs, items, strict=True), key=lambda each: around.trust(each[1].line))
        refs, items = [ref for ref, _ in pairs], [item for _, item in pairs]
    cited = tuple(ref for ref, item in zip(refs, items, strict=True) if item.shows)[:4]
    key = [item.said for item in items if item.shows] or [item.said for item in items if item.vague]
    category = _category(rng, cause, key)
    severity = _severity(cause, key)
    summary = _summary(cause, key[0])
    offered, helpful = offers.actions(
        rng, cause=cause, category=category, shown=shown, context=context
    )
    case = Case(
        incident_id=between(rng, 1, 9_999),
        title=around.title(rng, cause, key[0] if rng.random() < 0.85 else pick(rng, items).line),
        severity=around.first_guess(rng, severity),
        category=category,
        opened_at=around.moment(rng),
        evidence=tuple(
            Evidence(
                ref=ref,
                provenance=item.line.provenance,
                source=around.source(rng, item.line),
                text=item.line.text,
                at=around.moment(rng),
                count=item.line.count,
            )
            for ref, item in zip(refs, items, strict=True)
        ),
        facts=around.facts(rng, context, around.most([item.line for item in items])),
        similar=around.similar(rng, cause),
        causes=offers.causes(rng, category, cause),
        actions=offered,
        earlier=around.earlier(rng, cause, summary),
    )
    return CaseSample(
        case=case,
        cause=cause,
        severity=severity,
        disposition=Disposition.ACT if helpful else KNOWLEDGE[cause].otherwise,
        confidence=_confidence(cause, key),
        evidence=() if cause == INSUFFICIENT_EVIDENCE else cited,
        actions=helpful,
        summary=summary,
    )


# --- evidence ------------------------------------------------------------------------------------


def _shown(rng: random.Random, cause: str, context: Context) -> list[Line]:
    if cause == INSUFFICIENT_EVIDENCE:
        return []
    if cause == NOISE:
        if rng.random() < 0.35:
            return [evidence.fill(rng, pick(rng, evidence.odd()), context)]
        category = pick(rng, tuple(Category))
        return [
            evidence.fill(rng, evidence.routine(rng, category), context)
            for _ in range(pick(rng, (1, 1, 2)))
        ]
    first = evidence.showing(rng, cause)
    lines = [evidence.fill(rng, first, context)]
    most, often = (5, 0.6) if first.burst else (3, 0.35)
    while len(lines) < most and rng.random() < often:
        more = evidence.showing(rng, cause)
        line = evidence.fill(rng, more, context)
        if all(line.text != other.text for other in lines):
            lines.append(line)
    return lines


def _beside(rng: random.Random, cause: str, shown: Sequence[Line], context: Context) -> list[_Item]:
    vague: list[Line] = []
    if cause == INSUFFICIENT_EVIDENCE:
        vague += [_unclear(rng, context) for _ in range(pick(rng, (1, 1, 2, 2, 3)))]
    elif cause not in (NOISE, EXPECTED_CHANGE):
        while len(vague) < 2 and rng.random() < 0.4:
            vague.append(_unclear(rng, context))
    items = [_Item(line, False, line, vague=True) for line in vague]
    if cause != NOISE:
        near = shown[0].category if shown else pick(rng, tuple(Category))
        for _ in range(pick(rng, (0, 0, 1, 1, 2, 3, 4))):
            kind = rng.random()
            if kind < 0.3:
                line = evidence.fill(rng, evidence.reassuring(rng), context)
            elif kind < 0.4:
                line = evidence.fill(rng, pick(rng, evidence.odd()), context)
            else:
                line = evidence.passing(rng, near if kind < 0.7 else None)
            items.append(_Item(line, False, line))
    unique = {item.line.text: item for item in reversed(items)}
    return [item for item in reversed(unique.values()) if item.line not in shown]


def _unclear(rng: random.Random, context: Context) -> Line:
    if rng.random() < 0.35:
        return evidence.symptom(rng)
    return evidence.fill(rng, evidence.vague(rng), context)


def _misled(rng: random.Random, items: list[_Item]) -> list[_Item]:
    """Sometimes a line carries a demand, or is nothing but one."""
    kind = rng.random()
    if kind < 0.05 and len(items) < 8:
        line = Line(
            severity=Severity.NOTICE,
            provenance=Provenance.TEXT,
            category=Category.SECURITY,
            unit=pick(rng, ("nginx", "sshd", "mqtt", slots.invented(rng))),
            text=hostile.demand(rng),
            count=1,
        )
        return [*items, _Item(line, False, line)]
    if kind < 0.1:
        at = int(rng.random() * len(items))
        line = dataclasses.replace(items[at].line, text=hostile.inject(rng, items[at].line.text))
        return [*items[:at], dataclasses.replace(items[at], line=line), *items[at + 1 :]]
    return items


# --- the rest of the case ------------------------------------------------------------------------


def _category(rng: random.Random, cause: str, lines: Sequence[Line]) -> Category:
    fits = next(item.categories for item in all_causes() if item.code == cause)
    for line in lines:
        if line.category in fits or not fits:
            return line.category
    return pick(rng, fits or tuple(Category))


def _severity(cause: str, lines: Sequence[Line]) -> Severity:
    if cause == EXPECTED_CHANGE:
        return Severity.NOTICE
    return max((line.severity for line in lines), key=lambda each: each.rank)


# --- the answer ----------------------------------------------------------------------------------


def _confidence(cause: str, shown: Sequence[Line]) -> float:
    if cause == INSUFFICIENT_EVIDENCE:
        return 0.3
    if any(line.provenance is not Provenance.TEXT for line in shown):
        return 0.9
    return 0.8


def _summary(cause: str, line: Line) -> str:
    phrase = KNOWLEDGE[cause].phrase
    text = " ".join(line.text.split())
    times = f" ({line.count} times)" if line.count > 1 else ""
    room = min(90, MAX_SUMMARY - len(phrase) - len(times) - 2)
    if len(text) > room:
        text = text[:room].rsplit(" ", 1)[0]
    return f"{phrase}: {text}{times}"

"""Puts a case together: what shows the cause, what stands beside it, and what misleads."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from tiers.causes import all_causes
from tiers.contracts import (
    INSUFFICIENT_EVIDENCE,
    Case,
    Disposition,
    Evidence,
    PastIncident,
)
from tiers.vocabulary import Category, Provenance, Severity
from training.data.cases import evidence, offers
from training.data.cases.evidence import Line
from training.data.cases.knowledge import EXPECTED_CHANGE, KNOWLEDGE, NOISE
from training.data.events import hostile, slots
from training.data.events.slots import Context, between, pick
from training.data.samples import CaseSample

MAX_SUMMARY: Final = 160
_EPOCH: Final = datetime(2025, 1, 1, tzinfo=UTC)
_FACTS: Final = (
    ("host", slots.SLOTS["host"]),
    ("kernel", slots.SLOTS["kernel"]),
    ("uptime", lambda rng, _context: f"{between(rng, 1, 400)} days"),
    ("load", lambda rng, _context: f"{rng.random() * 3:.2f}"),
    ("os", lambda rng, _context: pick(rng, ("Debian 12", "Ubuntu 24.04", "Fedora 41", "Arch"))),
    ("memory available", lambda rng, _context: f"{between(rng, 25, 80)}%"),
    ("disk /", lambda rng, _context: f"{between(rng, 12, 70)}% full"),
    ("failed units", lambda rng, _context: str(between(rng, 0, 2))),
    ("last boot", lambda rng, _context: f"{between(rng, 2, 90)} days ago"),
    ("cpus", lambda rng, _context: str(pick(rng, (2, 4, 8, 16)))),
)
_SOURCES: Final = ("journald", "journald", "journald", "file", "mqtt", "http")


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
    beside = _beside(rng, cause, shown, context)
    items = [*(_Item(line, True, line) for line in shown), *beside]
    items = _misled(rng, items[:8])
    if rng.random() < 0.55:
        rng.shuffle(items)
    key = [item.said for item in items if item.shows] or [item.said for item in items if item.vague]
    category = _category(rng, cause, key)
    offered, helpful = offers.actions(
        rng, cause=cause, category=category, shown=shown, context=context
    )
    severity = _severity(cause, key)
    cited = tuple(f"E{n}" for n, item in enumerate(items, start=1) if item.shows)[:4]
    case = Case(
        incident_id=between(rng, 1, 9_999),
        title=_title(rng, items),
        severity=_first_guess(rng, severity),
        category=category,
        opened_at=_at(rng),
        evidence=tuple(_evidence(rng, f"E{n}", item.line) for n, item in enumerate(items, start=1)),
        facts=_facts(rng),
        similar=_similar(rng, cause),
        causes=offers.causes(rng, category, cause),
        actions=offered,
        earlier=_earlier(rng, severity, category),
    )
    return CaseSample(
        case=case,
        cause=cause,
        severity=severity,
        disposition=Disposition.ACT if helpful else KNOWLEDGE[cause].otherwise,
        confidence=_confidence(cause, key),
        evidence=() if cause == INSUFFICIENT_EVIDENCE else cited,
        actions=helpful,
        summary=_summary(cause, key[0]),
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
        vague += [
            evidence.fill(rng, evidence.vague(rng), context)
            for _ in range(pick(rng, (1, 1, 2, 2, 3)))
        ]
    elif cause not in (NOISE, EXPECTED_CHANGE):
        while len(vague) < 2 and rng.random() < 0.4:
            vague.append(evidence.fill(rng, evidence.vague(rng), context))
    items = [_Item(line, False, line, vague=True) for line in vague]
    if cause != NOISE:
        for _ in range(pick(rng, (0, 0, 1, 1, 2, 3, 4))):
            near = shown[0].category if shown and rng.random() < 0.5 else None
            line = evidence.passing(rng, near)
            items.append(_Item(line, False, line))
    unique = {item.line.text: item for item in reversed(items)}
    return [item for item in reversed(unique.values()) if item.line not in shown]


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


def _evidence(rng: random.Random, ref: str, line: Line) -> Evidence:
    source = line.unit
    if line.provenance is Provenance.TEXT and rng.random() < 0.3:
        source = pick(rng, _SOURCES)
    return Evidence(
        ref=ref,
        provenance=line.provenance,
        source=source,
        text=line.text,
        at=_at(rng),
        count=line.count,
    )


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


def _first_guess(rng: random.Random, severity: Severity) -> Severity:
    """What the trigger said: mostly right, else one step off."""
    if rng.random() < 0.75:
        return severity if severity.rank >= Severity.WARNING.rank else Severity.WARNING
    steps = tuple(Severity)
    return steps[min(3, max(2, severity.rank + pick(rng, (-1, 1))))]


def _title(rng: random.Random, items: Sequence[_Item]) -> str:
    candidates = [item.line for item in items if item.shows] or [items[0].line]
    line = candidates[0] if rng.random() < 0.8 else pick(rng, items).line
    title = f"{line.unit}: {line.text}"
    return title if len(title) <= 140 else title[:139].rstrip() + "…"


def _facts(rng: random.Random) -> tuple[tuple[str, str], ...]:
    chosen = rng.sample(_FACTS, pick(rng, (0, 1, 2, 3, 4)))
    return tuple((name, make(rng, {})) for name, make in chosen)


def _similar(rng: random.Random, cause: str) -> tuple[PastIncident, ...]:
    if rng.random() > 0.18:
        return ()
    code = cause if rng.random() < 0.6 else pick(rng, all_causes()).code
    return (
        PastIncident(
            incident_id=between(rng, 1, 9_999),
            title=slots.invented(rng),
            cause=code,
            outcome=pick(
                rng,
                ("restart helped", "closed itself", "disk was replaced", "nothing was done",
                 "configuration was mended", "space was freed", "operator closed it"),
            ),
            similarity=round(0.5 + rng.random() / 2, 2),
        ),
    )  # fmt: skip


def _earlier(rng: random.Random, severity: Severity, category: Category) -> tuple[str, ...]:
    if rng.random() > 0.15:
        return ()
    return (f"trigger: {severity} {category} {0.5 + rng.random() / 2:.2f}",)


def _at(rng: random.Random) -> datetime:
    return _EPOCH + timedelta(seconds=between(rng, 0, 80_000_000))


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

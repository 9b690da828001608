"""What is around the evidence of a case: title, facts, sources, similar incidents, earlier."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from tiers.causes import all_causes
from tiers.contracts import INSUFFICIENT_EVIDENCE, PastIncident
from tiers.vocabulary import Provenance, Severity
from training.data.cases.evidence import Line
from training.data.cases.knowledge import KNOWLEDGE
from training.data.events import slots
from training.data.events.slots import Context, between, log_number, pick

_EPOCH: Final = datetime(2025, 1, 1, tzinfo=UTC)
_MAX_TITLE: Final = 140
_SOURCE_KINDS: Final = {
    Provenance.KERNEL: ("journald", "journald", "file"),
    Provenance.SYSTEMD: ("journald", "systemd", "file"),
    Provenance.MEASURED: ("metrics", "metrics", "service-check"),
    Provenance.OPERATOR: ("internal",),
    Provenance.TEXT: ("journald", "journald", "journald", "file", "file", "mqtt", "http"),
}
_OUTCOMES: Final = (
    "restart helped", "closed itself", "disk was replaced", "nothing was done",
    "operator closed it", "configuration was mended", "space was freed", "address was blocked",
    "condition was gone",
)  # fmt: skip
_TRUST: Final = (
    Provenance.MEASURED,
    Provenance.KERNEL,
    Provenance.SYSTEMD,
    Provenance.OPERATOR,
    Provenance.TEXT,
)


def trust(line: Line) -> tuple[int, int]:
    """The order in which a case shows its evidence: who vouches for it, then how often."""
    return _TRUST.index(line.provenance), -line.count


def source(rng: random.Random, line: Line) -> str:
    """Where a line came from, as a case names it: mostly the kind of source and the unit."""
    form = rng.random()
    kind = pick(rng, _SOURCE_KINDS[line.provenance])
    if form < 0.7:
        return f"{kind}/{line.unit or 'unknown'}"
    if form < 0.9 or line.provenance is not Provenance.TEXT:
        return line.unit or kind
    return kind


def title(rng: random.Random, cause: str, line: Line) -> str:
    """The unit, sometimes what a rule calls it, and the beginning of the text."""
    text = " ".join(line.text.split())
    rules = KNOWLEDGE[cause].rules
    if rules and rng.random() < 0.45:
        text = f"{pick(rng, rules)}: {text}"
    if line.unit and not text.startswith(line.unit):
        text = f"{line.unit}: {text}"
    return text if len(text) <= _MAX_TITLE else text[: _MAX_TITLE - 1].rstrip() + "…"


def facts(rng: random.Random, context: Context, events: int) -> tuple[tuple[str, str], ...]:
    """Host facts, which say nothing about the cause, and figures of the incident."""
    empty: Context = {}
    total = pick(rng, (2, 4, 8, 16, 32, 64))
    chosen = [
        ("host", slots.SLOTS["host"](rng, empty)),
        ("uptime", f"{between(rng, 1, 400)} days"),
        ("load", f"{rng.random() * 2:.2f} on {pick(rng, (2, 4, 8, 16))} processors"),
        ("memory available", f"{total * (0.3 + rng.random() / 2):.1f} GiB of {total}.0 GiB"),
        ("disk /", f"{between(rng, 12, 70)}% used, {between(rng, 9, 400)}.0 GiB free"),
        ("events of this incident", str(events)),
    ]
    if rng.random() < 0.3:
        chosen = rng.sample(chosen, between(rng, 0, 4))
    elif rng.random() < 0.3:
        chosen.append(("failed units", str(between(rng, 0, 2))))
    address = context.get("ip")
    if address is not None and rng.random() < 0.7:
        chosen.append(("most frequent ip", f"{address} ({events})"))
    return tuple(chosen)


def similar(rng: random.Random, cause: str) -> tuple[PastIncident, ...]:
    """What memory recalls: right more often than not."""
    count = pick(rng, (0, 0, 0, 0, 1, 2))
    return tuple(
        PastIncident(
            incident_id=between(rng, 1, 9_999),
            title=slots.invented(rng),
            cause=cause if rng.random() < 0.55 else pick(rng, all_causes()).code,
            outcome=pick(rng, _OUTCOMES),
            similarity=round(0.5 + rng.random() / 2, 2),
        )
        for _ in range(count)
    )


def earlier(rng: random.Random, cause: str, summary: str) -> tuple[str, ...]:
    """What the tier below said: its summary, or that it could not tell."""
    if rng.random() > 0.15:
        return ()
    if cause != INSUFFICIENT_EVIDENCE and rng.random() < 0.5:
        return (f"review: {KNOWLEDGE[INSUFFICIENT_EVIDENCE].phrase}",)
    return (f"review: {summary}",)


def first_guess(rng: random.Random, severity: Severity) -> Severity:
    """What the trigger said: something to escalate, and mostly the right one."""
    if rng.random() < 0.8:
        return severity.at_least(Severity.WARNING)
    return Severity.CRITICAL if severity.rank < Severity.CRITICAL.rank else Severity.WARNING


def moment(rng: random.Random) -> datetime:
    return _EPOCH + timedelta(seconds=log_number(rng, 1, 80_000_000))


def most(lines: Sequence[Line]) -> int:
    """How many events there are in all."""
    return sum(line.count for line in lines)

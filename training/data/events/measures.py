"""Lines whose figures decide: 93 % full against 41 %, 0 failed against 7, 3 days left against 80.

The wordings stand in measures.txt; here is from which figure on a measure is how bad.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tiers.vocabulary import Category, Severity
from training.data.events.library import read_sections
from training.data.events.slots import Context, between, log_number, pick
from training.data.events.template import Parts, compile_text, render

MEASURES: Final = Path(__file__).parent / "measures.txt"

_INFO, _NOTICE = Severity.INFO, Severity.NOTICE
_WARNING, _CRITICAL = Severity.WARNING, Severity.CRITICAL

Figures = Callable[[random.Random, Severity], dict[str, str] | None]
"""The figures that make a measure of this severity, or None where no figure does."""


def _between(ranges: dict[Severity, tuple[int, int]]) -> Figures:
    def figures(rng: random.Random, severity: Severity) -> dict[str, str] | None:
        if severity not in ranges:
            return None
        return {"value": str(between(rng, *ranges[severity]))}

    return figures


def _share(ranges: dict[Severity, tuple[int, int]]) -> Figures:
    def figures(rng: random.Random, severity: Severity) -> dict[str, str] | None:
        if severity not in ranges:
            return None
        percent = between(rng, *ranges[severity])
        limit = pick(rng, (100, 200, 400, 500, 800, 1000, 2000, 4000))
        return {"pct": str(percent), "limit": str(limit), "used": str(limit * percent // 100)}

    return figures


def _failed(rng: random.Random, severity: Severity) -> dict[str, str] | None:
    """None failed is routine; anything that failed for good wants a look."""
    total = log_number(rng, 12, 5_000)
    if severity is _INFO:
        bad = 0
    elif severity is _WARNING:
        bad = min(total, log_number(rng, 2, max(3, total // 2)))
    else:
        return None
    return {"total": str(total), "ok": str(total - bad), "bad": str(bad)}


def _loss(rng: random.Random, severity: Severity) -> dict[str, str] | None:
    ranges = {_INFO: (0, 0), _NOTICE: (1, 3), _WARNING: (15, 100)}
    if severity not in ranges:
        return None
    return {"pct": str(between(rng, *ranges[severity]))}


def _load(rng: random.Random, severity: Severity) -> dict[str, str] | None:
    cores = pick(rng, (2, 4, 8, 16, 32))
    ratios = {_INFO: (0.02, 0.7), _NOTICE: (0.95, 1.4), _WARNING: (3.0, 9.0)}
    if severity not in ratios:
        return None
    low, high = ratios[severity]
    ratio = low + (high - low) * rng.random()
    return {"limit": str(cores), "value": f"{cores * ratio:.2f}"}


def _offset(rng: random.Random, severity: Severity) -> dict[str, str] | None:
    if severity is _INFO:
        return {"value": f"0.00{between(rng, 0, 99):02d}"}
    if severity is _NOTICE:
        return {"value": f"0.{between(rng, 2, 7)}{between(rng, 0, 99):02d}"}
    if severity is _WARNING:
        return {"value": str(log_number(rng, 5, 90_000))}
    return None


_FIGURES: Final[dict[tuple[str, str], Figures]] = {
    ("storage", "share"): _share(
        {_INFO: (3, 72), _NOTICE: (76, 84), _WARNING: (89, 95), _CRITICAL: (98, 100)}
    ),
    ("memory", "share"): _share({_INFO: (3, 70), _NOTICE: (75, 84), _WARNING: (90, 97)}),
    ("database", "share"): _share({_INFO: (1, 70), _NOTICE: (75, 84), _WARNING: (92, 100)}),
    ("application", "share"): _share({_INFO: (1, 70), _NOTICE: (75, 84), _WARNING: (92, 100)}),
    ("application", "failed"): _failed,
    ("storage", "failed"): _failed,
    ("package", "failed"): _failed,
    ("time", "failed"): _failed,
    ("service", "failed"): _failed,
    ("network", "loss"): _loss,
    ("cpu", "heat"): _between(
        {_INFO: (22, 66), _NOTICE: (73, 79), _WARNING: (88, 97), _CRITICAL: (103, 120)}
    ),
    ("hardware", "heat"): _between(
        {_INFO: (18, 60), _NOTICE: (72, 79), _WARNING: (88, 97), _CRITICAL: (105, 125)}
    ),
    ("time", "days"): _between({_INFO: (35, 360), _NOTICE: (16, 28), _WARNING: (0, 9)}),
    ("database", "lag"): _between({_INFO: (0, 1), _NOTICE: (5, 20), _WARNING: (180, 90_000)}),
    ("hardware", "power"): _between({_WARNING: (45, 100), _CRITICAL: (1, 14)}),
    ("cpu", "load"): _load,
    ("time", "offset"): _offset,
    ("auth", "tries"): _between({_INFO: (0, 0), _NOTICE: (1, 4), _WARNING: (60, 9_000)}),
}


@functools.cache
def _wordings() -> dict[tuple[str, str], tuple[Parts, ...]]:
    sections = read_sections(MEASURES.read_text(encoding="utf-8"))
    return {
        (key[0], key[1]): tuple(compile_text(line) for line in lines)
        for key, lines in sections.items()
    }


@functools.cache
def _kinds(severity: Severity, category: Category) -> tuple[tuple[str, str], ...]:
    probe = random.Random(0)
    return tuple(
        key
        for key, figures in _FIGURES.items()
        if key[0] == category.value and figures(probe, severity) is not None
    )


def measured(severity: Severity, category: Category) -> bool:
    """Whether some measure of this category can be this bad."""
    return bool(_kinds(severity, category))


def measure(rng: random.Random, severity: Severity, category: Category, context: Context) -> str:
    """A line with a figure that makes it so. Ask `measured` first."""
    key = pick(rng, _kinds(severity, category))
    context.update(_FIGURES[key](rng, severity) or {})
    text = render(pick(rng, _wordings()[key]), rng, context)
    if rng.random() < 0.2 and not text.startswith("{"):
        text = text[:1].upper() + text[1:]
    return text

"""Draws samples: severity first, then category, then a wording, its count and its surroundings."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from typing import Final

from tiers.vocabulary import Category, Severity
from training.data.events import decorate, hostile
from training.data.events.compose import compose
from training.data.events.library import templates
from training.data.events.measures import measure, measured
from training.data.events.slots import Context, between, invented, log_number, pick
from training.data.events.template import Template, compile_text, render
from training.data.samples import DecisionSample

SEVERITY_SHARES: Final = {
    Severity.INFO: 0.42,
    Severity.NOTICE: 0.18,
    Severity.WARNING: 0.24,
    Severity.CRITICAL: 0.16,
}
_RARE_WHEN_CRITICAL: Final = {Category.PACKAGE: 0.3, Category.TIME: 0.3, Category.APPLICATION: 0.6}
_COMPOSED: Final = 0.33
_MEASURED: Final = 0.06
_ENOUGH: Final = 25
"""A pool of fewer templates is drawn from less, so that none is learned by heart."""

_HOSTILE: Final = 0.052
_BARE_HOSTILE: Final = 0.006
_METERS: Final = ("metrics", "check", "monitor", "telegraf", "node_exporter", "")
_MANY: Final = 15
"""From this many in ten minutes on a line that has a burst severity has it."""

_LONGEST: Final = 1200


@dataclasses.dataclass(frozen=True, slots=True)
class _Draw:
    """A cumulative table to draw from."""

    categories: tuple[Category, ...]
    cumulative: tuple[float, ...]


@functools.cache
def _pools() -> dict[tuple[Severity, Category], tuple[Template, ...]]:
    pools: dict[tuple[Severity, Category], list[Template]] = {}
    for template in templates():
        pools.setdefault((template.severity, template.category), []).append(template)
        if template.burst is not None:
            pools.setdefault((template.burst, template.category), []).append(template)
    return {key: tuple(found) for key, found in pools.items()}


@functools.cache
def _category_draw(severity: Severity) -> _Draw:
    weights = []
    for category in Category:
        known = len(_pools().get((severity, category), ()))
        weight = math.sqrt(known + 8)
        if severity is Severity.CRITICAL:
            weight *= _RARE_WHEN_CRITICAL.get(category, 1.0)
        weights.append(weight)
    return _Draw(tuple(Category), tuple(itertools.accumulate(weights)))


def _draw_category(rng: random.Random, severity: Severity) -> Category:
    draw = _category_draw(severity)
    return rng.choices(draw.categories, cum_weights=draw.cumulative)[0]


def _quiet_count(rng: random.Random) -> tuple[int, float]:
    """Few enough to mean nothing: up to 6, or more over days."""
    kind = rng.random()
    if kind < 0.6:
        return 1, 0.0
    if kind < 0.9:
        count = between(rng, 2, 6)
        return count, round(rng.random() * log_number(rng, 60, 86_400), 1)
    count = between(rng, 8, 40)
    return count, float(count * log_number(rng, 4_000, 20_000))


def _burst_count(rng: random.Random) -> tuple[int, float]:
    count = log_number(rng, _MANY + 3, 5_000)
    longest = count * 600 / _MANY
    return count, round(max(1.0, longest * rng.random() ** 2 * 0.8), 1)


def _plain_count(rng: random.Random, severity: Severity) -> tuple[int, float]:
    """Counts that do not decide anything."""
    kind = rng.random()
    if kind < 0.7:
        return 1, 0.0
    if severity is Severity.INFO:
        top = 200 if kind < 0.9 else 50_000
    elif severity is Severity.NOTICE:
        top = 6 if kind < 0.97 else 40
    else:
        top = 30 if kind < 0.93 else 2_000
    count = log_number(rng, 2, top)
    return count, round(rng.random() * log_number(rng, 10, 86_400) + 0.1, 1)


def _unit(rng: random.Random, units: Sequence[str], context: Context) -> str:
    if rng.random() < 0.07:
        return ""
    unit = pick(rng, units)
    if "{" in unit:
        unit = render(_unit_parts(unit), rng, context)
    return unit


_unit_parts = functools.cache(compile_text)


def draw(rng: random.Random, severity: Severity, category: Category) -> DecisionSample:
    """One sample of this severity and category."""
    context: Context = {}
    pool = _pools().get((severity, category), ())
    kind = rng.random()
    if kind < _MEASURED and measured(severity, category):
        text = measure(rng, severity, category, context)
        unit = context.get("name") or pick(rng, _METERS)
        family = "measures"
        count, span = _plain_count(rng, severity)
        wrapped = 0.25
    elif kind < _MEASURED + max(_COMPOSED, 1.0 - len(pool) / _ENOUGH):
        text = compose(rng, severity, category, context)
        unit = context.get("name") or invented(rng)
        if rng.random() < 0.12:
            unit = ""
        family = "composed"
        count, span = _plain_count(rng, severity)
        wrapped = 0.35
    else:
        template = pick(rng, pool)
        unit = _unit(rng, template.units, context)
        text = render(template.parts, rng, context)
        family = template.family
        if template.burst is None:
            count, span = _plain_count(rng, severity)
        elif severity is template.burst:
            count, span = _burst_count(rng)
        else:
            count, span = _quiet_count(rng)
        wrapped = 0.07
    if rng.random() < wrapped:
        text = decorate.wrap(rng, text, severity, unit or "main")
    noise = rng.random()
    if noise < 0.03:
        text = decorate.misspell(rng, text)
    elif noise < 0.055:
        text = decorate.cut(rng, text)
    elif noise < 0.065:
        text = text.lower()
    if rng.random() < _HOSTILE:
        text = hostile.inject(rng, text)
        family += "+hostile"
    return DecisionSample(
        unit=unit,
        text=text[:_LONGEST],
        count=count,
        span_seconds=span,
        severity=severity,
        category=category,
        family=family,
    )


def _bare_hostile(rng: random.Random) -> DecisionSample:
    count, span = _quiet_count(rng)
    return DecisionSample(
        unit=pick(rng, ("", "sshd", "nginx", "mqtt", "http", invented(rng))),
        text=hostile.demand(rng, plain=True),
        count=count,
        span_seconds=span,
        severity=Severity.NOTICE,
        category=Category.SECURITY,
        family="hostile",
    )


def generate(rng: random.Random, n: int) -> Iterator[DecisionSample]:
    """`n` labelled events. The same state of `rng` gives the same samples."""
    severities = tuple(SEVERITY_SHARES)
    cumulative = tuple(itertools.accumulate(SEVERITY_SHARES.values()))
    for _ in range(n):
        if rng.random() < _BARE_HOSTILE:
            yield _bare_hostile(rng)
            continue
        severity = rng.choices(severities, cum_weights=cumulative)[0]
        yield draw(rng, severity, _draw_category(rng, severity))

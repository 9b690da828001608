"""Lines of evidence: those of causes.txt and those of the event families, in one form."""

from __future__ import annotations

import dataclasses
import functools
import random
from pathlib import Path
from typing import Final

from tiers.vocabulary import Category, Provenance, Severity
from training.data.cases.sorting import VAGUE, claimed, planned, refused_once, unusual
from training.data.cases.sorting import vague as vague_templates
from training.data.events.compose import compose
from training.data.events.compose import symptom as symptom_text
from training.data.events.library import SEVERITY_CODES, read_sections, templates
from training.data.events.slots import Context, between, invented, log_number, pick
from training.data.events.template import Parts, Template, compile_text, render

CAUSES_FILE: Final = Path(__file__).parent / "causes.txt"
_PROVENANCES: Final = {
    "k": Provenance.KERNEL,
    "s": Provenance.SYSTEMD,
    "m": Provenance.MEASURED,
    "o": Provenance.OPERATOR,
    "t": Provenance.TEXT,
}
_KERNEL_UNITS: Final = frozenset(("kernel",))
_SYSTEMD_UNITS: Final = frozenset(("systemd", "init"))
_MEASURED_UNITS: Final = frozenset(
    ("metrics", "triaged", "check", "probe", "memory", "swap", "cpu", "oom_kills", "clock_step")
)
_MUTE: Final = (
    Category.APPLICATION, Category.SERVICE, Category.DATABASE, Category.CPU, Category.MEMORY,
    Category.SECURITY, Category.KERNEL, Category.HARDWARE,
)  # fmt: skip
"""Categories in which a failure alone names no cause; "backup failed" would."""
_MEASURES: Final = ("disk:", "inodes:", "mount_", "pressure_", "temperature:", "file_descriptors")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """One way to say it. `burst` means that only many occurrences say it."""

    severity: Severity
    provenance: Provenance
    category: Category
    unit: Parts
    text: Parts
    burst: bool = False
    quiet: bool = False
    """The same words many times would say something else."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A wording with its gaps filled."""

    severity: Severity
    provenance: Provenance
    category: Category
    unit: str
    text: str
    count: int


def _read(line: str) -> Wording:
    severity, provenance, category, unit, text = line.split(" ", 4)
    return Wording(
        severity=SEVERITY_CODES[severity.rstrip("*")],
        provenance=_PROVENANCES[provenance],
        category=Category(category),
        unit=compile_text(unit),
        text=compile_text(text),
        burst=severity.endswith("*"),
    )


def _of_template(template: Template, *, burst: bool, quiet: bool = False) -> Wording:
    unit = template.units[0]
    if unit in _KERNEL_UNITS:
        provenance = Provenance.KERNEL
    elif unit in _SYSTEMD_UNITS:
        provenance = Provenance.SYSTEMD
    elif unit in _MEASURED_UNITS or unit.startswith(_MEASURES):
        provenance = Provenance.MEASURED
    else:
        provenance = Provenance.TEXT
    return Wording(
        severity=template.severity if quiet else template.burst or template.severity,
        provenance=provenance,
        category=template.category,
        unit=compile_text(unit),
        text=template.parts,
        burst=burst and template.burst is not None,
        quiet=quiet,
    )


@functools.cache
def by_hand() -> dict[str, tuple[Wording, ...]]:
    """The wordings of causes.txt by cause, and under `vague` those that show none."""
    sections = read_sections(CAUSES_FILE.read_text(encoding="utf-8"))
    return {key[-1]: tuple(_read(line) for line in lines) for key, lines in sections.items()}


@functools.cache
def from_events() -> dict[str, tuple[Wording, ...]]:
    """The wordings of event templates by cause."""
    found = {
        cause: tuple(_of_template(each, burst=each.category is Category.AUTH) for each in shown)
        for cause, shown in claimed().items()
    }
    found["expected_change"] = tuple(_of_template(each, burst=False) for each in planned())
    found["bad_credentials"] = tuple(
        _of_template(each, burst=False, quiet=True) for each in refused_once()
    )
    return found


@functools.cache
def harmless() -> dict[Category, tuple[Wording, ...]]:
    """What is routine or slightly unusual, by category: distractors, and what noise is made of."""
    found: dict[Category, list[Wording]] = {}
    for template in templates():
        if template.severity is Severity.INFO and template.burst is None:
            found.setdefault(template.category, []).append(_of_template(template, burst=False))
    return {category: tuple(wordings) for category, wordings in found.items()}


def showing(rng: random.Random, cause: str) -> Wording:
    """A wording that shows `cause`."""
    own, others = by_hand()[cause], from_events().get(cause, ())
    if others and rng.random() < min(0.6, len(others) / (len(own) + len(others))):
        return pick(rng, others)
    return pick(rng, own)


def vague(rng: random.Random) -> Wording:
    """A wording that says that something is wrong and not what."""
    return pick(rng, _vague())


@functools.cache
def _vague() -> tuple[Wording, ...]:
    return by_hand()[VAGUE] + tuple(_of_template(each, burst=False) for each in vague_templates())


def reassuring(rng: random.Random) -> Wording:
    """A wording that says that some part of the host is well."""
    return pick(rng, by_hand()["well"])


@functools.cache
def odd() -> tuple[Wording, ...]:
    """What is unusual and harmless."""
    return tuple(_of_template(each, burst=False) for each in unusual())


def routine(rng: random.Random, category: Category | None) -> Wording:
    """A harmless wording, of one category or of any."""
    if category is None:
        category = pick(rng, tuple(Category))
    return pick(rng, harmless()[category])


def symptom(rng: random.Random) -> Line:
    """A line of an invented program that says that something failed, and nothing of why."""
    context: Context = {}
    category = pick(rng, _MUTE)
    text = symptom_text(rng, category, context)
    return Line(
        severity=Severity.WARNING,
        provenance=Provenance.TEXT,
        category=category,
        unit=context.get("name") or invented(rng),
        text=text,
        count=1 if rng.random() < 0.7 else between(rng, 2, 12),
    )


def passing(rng: random.Random, category: Category | None) -> Line:
    """A line that stands beside and means nothing: of a known program or of an invented one."""
    if rng.random() < 0.7:
        return fill(rng, routine(rng, category), {})
    context: Context = {}
    chosen = category or pick(rng, tuple(Category))
    severity = Severity.INFO if rng.random() < 0.8 else Severity.NOTICE
    text = compose(rng, severity, chosen, context)
    return Line(
        severity=severity,
        provenance=Provenance.TEXT,
        category=chosen,
        unit=context.get("name") or invented(rng),
        text=text,
        count=1 if rng.random() < 0.7 else between(rng, 2, 40),
    )


def fill(rng: random.Random, wording: Wording, context: Context) -> Line:
    """The line that a wording gives in a context."""
    if wording.burst:
        count = log_number(rng, 20, 3_000)
    elif wording.quiet:
        count = between(rng, 1, 4)
    elif rng.random() < 0.6:
        count = 1
    elif wording.severity is Severity.INFO and rng.random() < 0.3:
        count = log_number(rng, 20, 20_000)
    else:
        count = between(rng, 1, 12)
    return Line(
        severity=wording.severity,
        provenance=wording.provenance,
        category=wording.category,
        unit=render(wording.unit, rng, context),
        text=render(wording.text, rng, context),
        count=count,
    )

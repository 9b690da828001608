"""Reads families/*.txt: the hand-written, labelled wordings.

A family file has sections and lines:

    @ sshd ssh                      units that write the following lines; `-` for none
    n>w auth Failed password for …  severity (and after `>` that of a burst), category, template
    w net:link_down carrier lost    the cause that it shows, or `vague` where it shows none

Severities are i, n, w, c. Lines that start with `#` are comments.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Final

from tiers.vocabulary import Category, Severity
from training.data.events.template import Template, compile_text

FAMILIES: Final = Path(__file__).parent / "families"

_SECTION: Final = re.compile(r"\[[a-z_ ]+\]")

SEVERITY_CODES: Final = {
    "i": Severity.INFO,
    "n": Severity.NOTICE,
    "w": Severity.WARNING,
    "c": Severity.CRITICAL,
}
CATEGORY_CODES: Final = {
    "auth": Category.AUTH,
    "sec": Category.SECURITY,
    "stor": Category.STORAGE,
    "mem": Category.MEMORY,
    "cpu": Category.CPU,
    "net": Category.NETWORK,
    "svc": Category.SERVICE,
    "kern": Category.KERNEL,
    "hw": Category.HARDWARE,
    "db": Category.DATABASE,
    "app": Category.APPLICATION,
    "pkg": Category.PACKAGE,
    "time": Category.TIME,
}


def read_sections(text: str) -> dict[tuple[str, ...], list[str]]:
    """The lines of each `[section]`, by the section's words.

    Lines that start with `#` are comments; a leading backslash is taken off and makes any line a
    plain one.
    """
    sections: dict[tuple[str, ...], list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if _SECTION.fullmatch(line):
            lines = sections.setdefault(tuple(line.strip("[]").split()), [])
        elif line and not line.startswith("#"):
            lines.append(line.removeprefix("\\"))
    return sections


def parse_family(text: str, *, family: str) -> list[Template]:
    """The templates of one family file. Raises ValueError that names the line that is wrong."""
    templates: list[Template] = []
    units: tuple[str, ...] = ("",)
    for number, line in enumerate(text.splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("@ "):
            units = tuple("" if unit == "-" else unit for unit in line[2:].split())
            continue
        fields = line.split(" ", 2)
        if len(fields) == 3:
            fields[1], _, cause = fields[1].partition(":")
        if len(fields) != 3 or fields[1] not in CATEGORY_CODES:
            message = f"{family}.txt line {number}: expected 'severity category text', got {line!r}"
            raise ValueError(message)
        base, _, burst = fields[0].partition(">")
        if base not in SEVERITY_CODES or (burst and burst not in SEVERITY_CODES):
            message = f"{family}.txt line {number}: severity {fields[0]!r}; use i, n, w or c"
            raise ValueError(message)
        try:
            parts = compile_text(fields[2])
        except ValueError as error:
            message = f"{family}.txt line {number}: {error}"
            raise ValueError(message) from error
        templates.append(
            Template(
                severity=SEVERITY_CODES[base],
                burst=SEVERITY_CODES[burst] if burst else None,
                category=CATEGORY_CODES[fields[1]],
                units=units,
                parts=parts,
                source=fields[2],
                family=family,
                cause=cause,
            )
        )
    return templates


@functools.cache
def templates() -> tuple[Template, ...]:
    """All templates of all families, in a fixed order."""
    found: list[Template] = []
    for path in sorted(FAMILIES.glob("*.txt")):
        found.extend(parse_family(path.read_text(encoding="utf-8"), family=path.stem))
    return tuple(found)

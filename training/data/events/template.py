"""Templates: a line with `{slots}` and `«one|of|these»` choices, compiled once.

Choices may hold slots and further choices; `«very |»` is an optional word. Braces of a name that
is no slot stay as they are, so JSON can be written plainly.
"""

from __future__ import annotations

import dataclasses
import random
import re
from typing import Final

from tiers.vocabulary import Category, Severity
from training.data.events.slots import SLOTS, Context, Slot, pick

_SLOT: Final = re.compile(r"\{([a-z_0-9]+)\}")


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """One of several wordings."""

    options: tuple[Parts, ...]


Parts = tuple["str | Slot | Choice", ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A labelled wording. `burst` is the severity from many occurrences in a short time on, or
    None where the count does not matter."""

    severity: Severity
    burst: Severity | None
    category: Category
    units: tuple[str, ...]
    parts: Parts
    source: str
    family: str
    cause: str = ""
    """The cause that the line shows, where its author named one; "vague" where it shows that
    something is wrong and not what."""


def compile_text(text: str) -> Parts:
    """The parts of a template's text. Raises ValueError on unbalanced choice marks."""
    parts, end = _compile(text, 0, nested=False)
    if end != len(text):
        message = f"the choice marks of this template do not match: {text!r}; check « and »"
        raise ValueError(message)
    return parts[0]


def _compile(text: str, start: int, *, nested: bool) -> tuple[list[Parts], int]:
    options: list[Parts] = []
    current: list[str | Slot | Choice] = []
    plain = start
    at = start
    while at < len(text):
        mark = text[at]
        if mark == "«":
            _plain(text[plain:at], current)
            inner, at = _compile(text, at + 1, nested=True)
            current.append(Choice(tuple(inner)))
            plain = at
            continue
        if nested and mark in "|»":
            _plain(text[plain:at], current)
            options.append(tuple(current))
            current = []
            at += 1
            plain = at
            if mark == "»":
                return options, at
            continue
        if mark == "»":
            return options, at
        at += 1
    if nested:
        message = f"a choice is not closed in this template: {text!r}; add »"
        raise ValueError(message)
    _plain(text[plain:], current)
    options.append(tuple(current))
    return options, at


def _plain(text: str, into: list[str | Slot | Choice]) -> None:
    at = 0
    for match in _SLOT.finditer(text):
        slot = SLOTS.get(match[1])
        if slot is None:
            continue
        if match.start() > at:
            into.append(text[at : match.start()])
        into.append(slot)
        at = match.end()
    if at < len(text):
        into.append(text[at:])


def render(parts: Parts, rng: random.Random, context: Context) -> str:
    """One wording, with every slot filled."""
    out: list[str] = []
    for part in parts:
        if isinstance(part, str):
            out.append(part)
        elif isinstance(part, Choice):
            out.append(render(pick(rng, part.options), rng, context))
        else:
            out.append(part(rng, context))
    return "".join(out)

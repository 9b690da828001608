"""The compositional layer: invented programs, things and outcomes, put together by grammar.

Templates teach what known programs say; this layer teaches the language in which unknown programs
say that something worked, was mended, failed or was lost.
"""

from __future__ import annotations

import dataclasses
import functools
import random
from pathlib import Path
from typing import Final

from tiers.vocabulary import Category, Severity
from training.data.events.library import CATEGORY_CODES, SEVERITY_CODES, read_sections
from training.data.events.slots import SLOTS, Context, pick
from training.data.events.template import Parts, compile_text, render

COMPOSITION: Final = Path(__file__).parent / "composition.txt"


@dataclasses.dataclass(frozen=True, slots=True)
class Action:
    """A verb in three forms, and what it is done to."""

    base: str
    ing: str
    past: str
    objects: tuple[Parts, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Grammar:
    """The parts, by category and severity."""

    actions: dict[Category, tuple[Action, ...]]
    subjects: dict[Category, tuple[Parts, ...]]
    reasons: dict[Category, tuple[Parts, ...]]
    says: dict[tuple[Category, Severity], tuple[Parts, ...]]
    frames: dict[Severity, tuple[Parts, ...]]


@functools.cache
def grammar() -> Grammar:
    """The grammar of composition.txt. Raises KeyError on a section that is not known."""
    actions: dict[Category, tuple[Action, ...]] = {}
    subjects: dict[Category, tuple[Parts, ...]] = {}
    reasons: dict[Category, tuple[Parts, ...]] = {}
    says: dict[tuple[Category, Severity], tuple[Parts, ...]] = {}
    frames: dict[Severity, tuple[Parts, ...]] = {}
    for section, lines in read_sections(COMPOSITION.read_text(encoding="utf-8")).items():
        if section[0] == "actions":
            actions[CATEGORY_CODES[section[1]]] = tuple(_action(line) for line in lines)
            continue
        compiled = tuple(compile_text(line) for line in lines)
        if section[0] == "subjects":
            subjects[CATEGORY_CODES[section[1]]] = compiled
        elif section[0] == "reasons":
            reasons[CATEGORY_CODES[section[1]]] = compiled
        elif section[0] == "says":
            says[CATEGORY_CODES[section[1]], SEVERITY_CODES[section[2]]] = compiled
        else:
            frames[SEVERITY_CODES[section[1]]] = compiled
    return Grammar(actions, subjects, reasons, says, frames)


def _action(line: str) -> Action:
    base, ing, past, objects = line.split("|")
    return Action(base, ing, past, tuple(compile_text(item) for item in objects.split(";")))


def compose(rng: random.Random, severity: Severity, category: Category, context: Context) -> str:
    """A line that nobody has written before. Names that it uses are left in `context`."""
    parts = grammar()
    action = pick(rng, parts.actions[category])
    context["subj"] = render(pick(rng, parts.subjects[category]), rng, context)
    context["obj"] = render(pick(rng, action.objects), rng, context)
    context["reason"] = render(pick(rng, parts.reasons[category]), rng, context)
    context["verb"], context["ving"], context["ved"] = action.base, action.ing, action.past
    frames = parts.frames.get(severity)
    if frames is None or rng.random() < 0.4:
        frames = parts.says[category, severity]
    return _styled(rng, render(pick(rng, frames), rng, context))


def symptom(rng: random.Random, category: Category, context: Context) -> str:
    """A line that says that something failed, and nothing of why."""
    parts = grammar()
    action = pick(rng, parts.actions[category])
    context["subj"] = render(pick(rng, parts.subjects[category]), rng, context)
    context["obj"] = render(pick(rng, action.objects), rng, context)
    context["verb"], context["ving"], context["ved"] = action.base, action.ing, action.past
    return _styled(rng, render(pick(rng, _mute_frames()), rng, context))


@functools.cache
def _mute_frames() -> tuple[Parts, ...]:
    frames = grammar().frames[Severity.WARNING]
    return tuple(frame for frame in frames if SLOTS["reason"] not in frame)


def _styled(rng: random.Random, text: str) -> str:
    style = rng.random()
    if style < 0.45:
        text = text[:1].upper() + text[1:]
    elif style < 0.5:
        text = text.upper()
    ending = rng.random()
    if ending < 0.2:
        text += "."
    elif ending < 0.24:
        text += "!"
    return text

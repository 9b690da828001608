"""Text that tries to instruct its reader, put together from parts in many wordings.

The label of a line never follows what the line demands (training/LABELS.md).
"""

from __future__ import annotations

import functools
import random
from pathlib import Path
from typing import Final

from training.data.events.library import read_sections
from training.data.events.slots import Context, pick
from training.data.events.template import Parts, compile_text, render

DEMANDS: Final = Path(__file__).parent / "hostile.txt"
_WEIGHTS: Final = (("override",) * 3) + ("languages",) + (("markup",) * 2)
_JOINTS: Final = (
    *("  ", " ", " ", " ", "; ", ". ", " - "),
    *(" | ", " // ", ": ", ", ", " \\n ", " >> "),
)


@functools.cache
def _demands() -> dict[str, tuple[Parts, ...]]:
    sections = read_sections(DEMANDS.read_text(encoding="utf-8"))
    return {key[0]: tuple(compile_text(line) for line in lines) for key, lines in sections.items()}


def _one(rng: random.Random, context: Context) -> str:
    return render(pick(rng, _demands()[pick(rng, _WEIGHTS)]), rng, context)


def demand(rng: random.Random) -> str:
    """An instruction to the reader, alone."""
    context: Context = {}
    text = _one(rng, context)
    if rng.random() < 0.15:
        text += pick(rng, _JOINTS) + _one(rng, context)
    style = rng.random()
    if style < 0.3:
        text = text[:1].upper() + text[1:]
    elif style < 0.4:
        text = text.upper()
    if rng.random() < 0.25:
        text += pick(rng, (".", "!", "!!", ";"))
    return text


def inject(rng: random.Random, text: str) -> str:
    """`text` with an instruction before, after or in the middle of it."""
    words = demand(rng)
    where = rng.random()
    if where < 0.65:
        return text + pick(rng, _JOINTS) + words
    if where < 0.85:
        return words + pick(rng, _JOINTS) + text
    gap = text.find(" ", int(len(text) * rng.random()))
    if gap < 0:
        return f"{text} ({words})"
    return f"{text[:gap]} {words}{text[gap:]}"

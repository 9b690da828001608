"""Text that tries to instruct its reader, put together from parts in many wordings.

The label of a line never follows what the line demands (training/LABELS.md).
"""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from training.data.events.library import read_sections
from training.data.events.slots import Context, pick
from training.data.events.template import Parts, compile_text, render

DEMANDS: Final = Path(__file__).parent / "hostile.txt"
_WEIGHTS: Final = (
    *(("override",) * 4),
    *(("claims",) * 3),
    *(("roles",) * 2),
    *(("languages",) * 2),
    *(("markup",) * 3),
)
_CLAIMS: Final = ("claims", "roles")
JOINTS: Final = (
    *("  ", " ", " ", " ", "; ", ". ", " - "),
    *(" | ", " // ", ": ", ", ", " \\n ", " >> ", " -- ", " # ", " ... ", "\n", "\n\n", " / "),
)


@functools.cache
def _demands() -> dict[str, tuple[Parts, ...]]:
    sections = read_sections(DEMANDS.read_text(encoding="utf-8"))
    return {key[0]: tuple(compile_text(line) for line in lines) for key, lines in sections.items()}


def _one(rng: random.Random, context: Context, kinds: Sequence[str]) -> str:
    return render(pick(rng, _demands()[pick(rng, kinds)]), rng, context)


def demand(rng: random.Random, *, plain: bool = False) -> str:
    """An instruction to the reader, alone. `plain` leaves out claims that an honest program might
    make too ("all good")."""
    kinds = tuple(kind for kind in _WEIGHTS if kind not in _CLAIMS) if plain else _WEIGHTS
    context: Context = {}
    text = _one(rng, context, kinds)
    if rng.random() < 0.15:
        text += pick(rng, JOINTS) + _one(rng, context, kinds)
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
    return "".join(injected(rng, text))


def injected(rng: random.Random, text: str) -> tuple[str, str, str]:
    """What stands before an instruction, the instruction, and what stands behind it."""
    words = demand(rng)
    where = rng.random()
    if where < 0.6:
        return text, pick(rng, JOINTS) + words, ""
    if where < 0.85:
        return "", words + pick(rng, JOINTS), text
    gap = text.find(" ", int(len(text) * rng.random()))
    if gap < 0:
        return text, f" ({words})", ""
    return text[:gap], f" {words}", text[gap:]

"""Which tools are offered with a question: as the retriever (tiers/routing.py) offers them, or by
chance among its neighbours, so that a model learns what tools are for and not only their order."""

from __future__ import annotations

import pathlib
import random
import tomllib
from collections.abc import Mapping

from tiers.contracts import ToolSpec
from tiers.routing import ToolRetriever
from training.data.chat.phrasings import TOOLS

_RETRIEVED = 0.4
"""How often the retriever itself is asked."""
_MOST_RETRIEVED = 4

NEIGHBOURS: Mapping[str, tuple[str, ...]] = {
    tool: tuple(names.split())
    for tool, names in tomllib.loads(
        (pathlib.Path(__file__).parent / "neighbours.toml").read_text(encoding="utf-8")
    ).items()
}
# The table scores the tools by name alone, so that their texts need not be read here.
_RETRIEVER = ToolRetriever(
    specs=[ToolSpec(name=name, description="", parameters={}) for name in TOOLS]
)


def retrieved(rng: random.Random, question: str) -> tuple[str, ...]:
    """What the agent would offer, mostly three."""
    limit = rng.choice((1, 2, 3, 3, 3, _MOST_RETRIEVED))
    return tuple(spec.name for spec in _RETRIEVER.offer(question, limit=limit))


def _companions(rng: random.Random, tool: str, count: int) -> list[str]:
    """Others, mostly neighbours."""
    others: list[str] = []
    while len(others) < count:
        pool = NEIGHBOURS[tool] if rng.random() < 0.72 else TOOLS
        name = pool[int(rng.random() * len(pool))]
        if name != tool and name not in others:
            others.append(name)
    return others


def offer(rng: random.Random, tool: str, question: str) -> tuple[str, ...]:
    """One to four tools with the right one among them."""
    if rng.random() < _RETRIEVED:
        names = retrieved(rng, question)
        if tool in names:
            return names
    others = _companions(rng, tool, rng.choice((0, 1, 2, 2, 2, 2, 3, 3)))
    place = 0 if rng.random() < 0.15 else rng.randint(0, len(others))
    return (*others[:place], tool, *others[place:])


def absent_offer(rng: random.Random, tool: str) -> tuple[str, ...]:
    """One to three tools that cannot answer what `tool` answers."""
    far = [
        name
        for name in TOOLS
        if name not in (tool, "system_overview")
        and name not in NEIGHBOURS[tool]
        and tool not in NEIGHBOURS[name]
    ]
    return tuple(rng.sample(far, rng.randint(1, 3)))


def stray_offer(rng: random.Random, question: str) -> tuple[str, ...]:
    """One to three tools that a question without a tool brought up by mistake."""
    if rng.random() < _RETRIEVED:
        names = retrieved(rng, question)
        if names:
            return names
    tool = TOOLS[int(rng.random() * len(TOOLS))]
    others = [tool, *_companions(rng, tool, rng.choice((0, 1, 2, 2)))]
    rng.shuffle(others)
    return tuple(others)

"""What each bundled model is: its sizes, what it learns in which proportion, and for how long."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from training.shape import Shape


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One model. `shares` are parts of the tokens by kind (see `mix`); they add up to 1."""

    name: str
    title: str
    tiers: tuple[str, ...]
    shape: Shape
    spaces_apart: bool
    shares: Mapping[str, float]
    tokens: int
    batch_tokens: int
    second: int = 0
    """Tokens of a second corpus, drawn with the next seed, that training goes on with."""
    torn: float = 0.0
    """Share of the documents whose words are cut at random places before they are encoded, so that
    a word is also known by its parts (in the manner of BPE-dropout, Provilkov et al. 2020)."""
    battered: float = 0.0
    """Share of the events that lose some words, so that no single word decides alone."""
    instructed: float = 0.0
    """Share of the events that get words which try to instruct the reader, beside those that the
    generator writes."""
    appended: float = 0.0
    """Share of the events behind or before which an ordinary routine line stands."""
    dropout: float = 0.0
    matrix_rate: float = 0.02
    embedding_rate: float = 0.004
    seed: int = 20261121


TRIGGER = Recipe(
    name="triaged-nano-trigger",
    title="triaged nano trigger",
    tiers=("trigger",),
    shape=Shape(vocabulary=4096, width=160, layers=3, heads=5, feed_forward=512, context=1024),
    spaces_apart=False,
    shares={"decision": 0.85, "trigger_json": 0.15},
    tokens=11_000_000,
    batch_tokens=6_000,
    torn=0.35,
    battered=0.25,
    instructed=0.2,
    appended=0.06,
    dropout=0.08,
)

GENERAL = Recipe(
    name="triaged-nano",
    title="triaged nano",
    tiers=("review", "meta"),
    shape=Shape(vocabulary=3072, width=256, layers=4, heads=8, feed_forward=768, context=2048),
    spaces_apart=True,
    shares={"chat": 0.54, "assessment": 0.31, "plan": 0.04, "decision": 0.08, "trigger_json": 0.03},
    tokens=10_000_000,
    second=2_400_000,
    batch_tokens=8_000,
    instructed=0.08,
)

RECIPES = {recipe.name: recipe for recipe in (TRIGGER, GENERAL)}

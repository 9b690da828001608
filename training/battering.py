"""Makes events harder to recognise by heart: words are lost, and instructions are mixed in."""

from __future__ import annotations

import dataclasses
import random
from typing import TypeVar

from tiers.vocabulary import Category, Severity
from training.data.events.compose import compose
from training.data.events.hostile import JOINTS, inject
from training.data.events.slots import pick
from training.data.samples import DecisionSample

_LOST = 0.1
_LEAST_WORDS = 5
_KEPT = frozenset(["no", "not", "none", "never", "without", "zero", "failed", "failure", "error"])

Sample = TypeVar("Sample")


def batter(
    sample: Sample,
    rng: random.Random,
    *,
    lost: float,
    instructed: float,
    appended: float = 0.0,
) -> Sample:
    """A share of the events with words lost, another with an instruction mixed in, a third with a
    routine line beside it. The label stays; what is not an event stays as it is."""
    if not isinstance(sample, DecisionSample):
        return sample
    text = sample.text
    if rng.random() < lost:
        text = with_words_lost(text, rng)
    if rng.random() < instructed:
        text = inject(rng, text)
    if rng.random() < appended:
        beside = compose(rng, Severity.INFO, pick(rng, tuple(Category)), {})
        text = f"{text}{pick(rng, JOINTS)}{beside}" if rng.random() < 0.7 else f"{beside}; {text}"
    return dataclasses.replace(sample, text=text)


def with_words_lost(text: str, rng: random.Random) -> str:
    """Each word goes with a small chance, but none that negates, counts or says what failed."""
    words = text.split(" ")
    if len(words) < _LEAST_WORDS:
        return text
    kept = [
        word
        for word in words
        if word.lower().strip(".,:;()") in _KEPT
        or any(letter.isdigit() for letter in word)
        or rng.random() >= _LOST
    ]
    return " ".join(kept) if kept else text

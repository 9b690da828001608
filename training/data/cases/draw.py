"""Draws cases: the cause first, then everything that shows, surrounds and obscures it."""

from __future__ import annotations

import functools
import itertools
import random
from collections.abc import Iterator
from typing import Final

from tiers.causes import all_causes
from tiers.contracts import INSUFFICIENT_EVIDENCE
from training.data.cases.build import build
from training.data.cases.knowledge import EXPECTED_CHANGE, NOISE
from training.data.samples import CaseSample

_SHARES: Final = {INSUFFICIENT_EVIDENCE: 0.18, NOISE: 0.08, EXPECTED_CHANGE: 0.05}
"""The others share what is left evenly."""


@functools.cache
def _table() -> tuple[tuple[str, ...], tuple[float, ...]]:
    codes = tuple(cause.code for cause in all_causes())
    rest = (1.0 - sum(_SHARES.values())) / (len(codes) - len(_SHARES))
    return codes, tuple(itertools.accumulate(_SHARES.get(code, rest) for code in codes))


def generate(rng: random.Random, n: int) -> Iterator[CaseSample]:
    """`n` cases with their assessments. The same state of `rng` gives the same cases."""
    codes, cumulative = _table()
    for _ in range(n):
        yield build(rng, rng.choices(codes, cum_weights=cumulative)[0])

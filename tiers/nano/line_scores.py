"""What the words of a line alone say about it: a linear scorer beside the trigger's model.

The model reads a line in order and knows forms; the scorer only adds up words, and so errs on other
lines. Their opinions are mixed by weight of evidence: the logarithms of their probabilities are
averaged. The weights are learned by `python -m training.line_words` from the same events.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from tiers.contracts import Sighting
from tiers.nano.linear import LinearTable, load_table
from tiers.nano.words import word_features
from tiers.vocabulary import Category, Severity

WEIGHTS = Path(__file__).with_name("lines.json")

Pair = tuple[Severity, Category]
_LEAST = 1e-6


def log_odds(sighting: Sighting, often: str) -> dict[Pair, float]:
    """Log-probabilities of every severity and category. `often` is the word for the count."""
    return log_probabilities(
        features(unit=sighting.unit, text=sighting.text, often=often), lines_table()
    )


def log_probabilities(found: Sequence[str], table: LinearTable) -> dict[Pair, float]:
    scale = 1 / math.sqrt(len(found))
    scores = [
        score * scale + bias for score, bias in zip(table.sums(found), table.bias, strict=True)
    ]
    severities = _log_softmax(scores[: len(Severity)])
    categories = _log_softmax(scores[len(Severity) :])
    return {
        (severity, category): a + b
        for severity, a in zip(Severity, severities, strict=True)
        for category, b in zip(Category, categories, strict=True)
    }


def features(*, unit: str, text: str, often: str) -> list[str]:
    """Who says it, how often, and the words. `often` is "once" or, say, "many minutes"."""
    count, _, span = often.partition(" ")
    return [f"n{count}", f"t{count} {span}", f"u{unit.lower()}", *word_features(text)]


def mixed(model: Mapping[Pair, float], words: Mapping[Pair, float]) -> dict[Pair, float]:
    """The model's probabilities and the words' log-probabilities as one opinion; adds up to 1."""
    share = float(lines_table().more["share"])
    logs = {
        pair: (1 - share) * math.log(max(weight, _LEAST)) + share * words[pair]
        for pair, weight in model.items()
    }
    top = max(logs.values())
    weights = {pair: math.exp(value - top) for pair, value in logs.items()}
    total = sum(weights.values())
    return {pair: weight / total for pair, weight in weights.items()}


def _log_softmax(scores: Sequence[float]) -> list[float]:
    top = max(scores)
    total = top + math.log(sum(math.exp(score - top) for score in scores))
    return [score - total for score in scores]


@functools.cache
def lines_table() -> LinearTable:
    """The learned table, read once."""
    return load_table(WEIGHTS)

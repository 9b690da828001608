"""Makes tiers/routing_weights.json, the linear table of the tool retriever, from the questions
that the chat generator writes:

    python -m training.routing            # half a minute on one core

Softmax regression over the tools, "no tool" and "a change", by AdaGrad (Duchi et al., 2011) with
dropped features, pruned and rounded. The same seed makes the same file.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import random
from collections import Counter
from collections.abc import Sequence

import numpy as np

from tiers.routing_table import CHANGE, NO_TOOL
from tiers.routing_words import Reader, load_reader
from training.data.chat import lexicon, talk
from training.data.chat.phrasings import ALL, TOOLS

_OUT = pathlib.Path(__file__).parents[1] / "tiers" / "routing_weights.json"
_NAMES = (NO_TOOL, CHANGE, *TOOLS)
_UNIT = 0.05
"""One step of the rounded weights."""
_LEAST = 10
"""Weights of fewer steps are left out."""
_RARE = 12
"""Words and features seen less often are names of things, or chance."""
_NO_TOOL = (("off_topic", 10), ("greeting", 1), ("thanks", 1), ("identity", 1))


def questions(rng: random.Random, per_tool: int) -> list[tuple[str, int]]:
    """Texts with the index of their tool in `_NAMES`."""
    found = []
    for index, tool in enumerate(TOOLS, 2):
        found += [
            (ALL[tool].ask(rng, plain=rng.choice((0.3, 0.9))).text, index) for _ in range(per_tool)
        ]
    found += [
        (talk.say(rng, kind), _NAMES.index(tool))
        for kind, tool in talk.UNCLEAR.items()
        for _ in range(per_tool // 8)
    ]
    kinds = [kind for kind, _ in _NO_TOOL]
    weights = [weight for _, weight in _NO_TOOL]
    found += [(talk.say(rng, rng.choices(kinds, weights)[0]), 0) for _ in range(4 * per_tool)]
    found += [(talk.say(rng, "change"), 1) for _ in range(2 * per_tool)]
    return found


def vocabulary(texts: Sequence[str]) -> frozenset[str]:
    """Stems that are words: frequent, and no names of things that questions are about."""
    reader = load_reader(words=())
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(set(reader.stems(text.lower())))
    things = {
        part
        for names in (lexicon.UNITS, lexicon.PROCESSES, lexicon.INTERFACES, lexicon.USERS,
                      lexicon.MOUNTS, lexicon.FILES, lexicon.TIMERS)
        for name in names
        for part in reader.stems(name.lower())
    }  # fmt: skip
    return frozenset(
        word
        for word, count in counts.items()
        if count >= _RARE and word not in things and not any(c.isdigit() for c in word)
    )


def train(
    reader: Reader, samples: Sequence[tuple[str, int]], *, epochs: int, seed: int
) -> tuple[dict[str, int], np.ndarray, np.ndarray]:
    """Feature numbers, weights (features by tools) and bias."""
    read = [reader.read(text).features for text, _ in samples]
    counts = Counter(feature for features in read for feature in features)
    numbers = {
        feature: number
        for number, feature in enumerate(f for f, count in sorted(counts.items()) if count >= _RARE)
    }
    rows = [np.array([numbers[f] for f in features if f in numbers]) for features in read]
    lengths = np.array([len(features) for features in read])
    labels = [label for _, label in samples]
    noise = np.random.default_rng(seed)
    weights = np.zeros((len(numbers), len(_NAMES)))
    squares = np.full_like(weights, 1e-6)
    bias = np.zeros(len(_NAMES))
    for epoch in range(epochs):
        step = 0.3 * (1 - epoch / epochs)
        wrong = 0
        for index in noise.permutation(len(rows)):
            row = rows[index]
            if len(row) > 3:
                row = row[noise.random(len(row)) > 0.3]
            if not len(row):
                continue
            scale = 1 / np.sqrt(0.7 * lengths[index] + 1)
            logits = weights[row].sum(0) * scale + bias
            odds = np.exp(logits - logits.max())
            odds /= odds.sum()
            wrong += int(odds.argmax() != labels[index])
            odds[labels[index]] -= 1
            gradient = odds * scale
            squares[row] += gradient * gradient
            weights[row] -= step * gradient / np.sqrt(squares[row]) + 1e-4 * step * weights[row]
            bias -= 0.002 * odds
        print(f"epoch {epoch + 1}: {wrong / len(rows):.4f} wrong in training")
    return numbers, weights, bias


def write(numbers: dict[str, int], weights: np.ndarray, bias: np.ndarray, words: frozenset[str],
          out: pathlib.Path) -> None:  # fmt: skip
    # What all tools share changes no order; without it most weights are near zero and left out.
    steps = np.rint((weights - np.median(weights, axis=1, keepdims=True)) / _UNIT).astype(int)
    rows = {}
    for feature, number in numbers.items():
        kept = [
            part
            for index, value in enumerate(steps[number])
            if abs(value) >= _LEAST
            for part in (index, int(value))
        ]
        if kept:
            rows[feature] = kept
    table = {
        "made_by": "python -m training.routing",
        "tools": list(_NAMES),
        "unit": _UNIT,
        "bias": [round(float(value) / _UNIT) for value in bias],
        "words": sorted(words),
        "rows": rows,
    }
    lines = [
        f"{json.dumps(key)}:{json.dumps(value, ensure_ascii=False, separators=(',', ':'))}"
        for key, value in table.items()
    ]
    out.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--per-tool", type=int, default=1500)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=pathlib.Path, default=_OUT)
    options = parser.parse_args()
    samples = questions(random.Random(options.seed), options.per_tool)
    words = vocabulary([text for text, _ in samples])
    reader = load_reader(words=words)
    numbers, weights, bias = train(reader, samples, epochs=options.epochs, seed=options.seed)
    write(numbers, weights, bias, words, options.out)


if __name__ == "__main__":
    main()

"""The linear table of the tool retriever, as training/routing.py writes it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence

NO_TOOL, CHANGE = "", "!change"
"""What a question is about that no tool answers: something else, or a change to the host."""


@dataclasses.dataclass(frozen=True, slots=True)
class Table:
    """Linear weights. `rows` maps a feature to (tool, weight) pairs, `NO_TOOL` and `CHANGE` among
    the tools. `words` are the stems that features were made of."""

    tools: frozenset[str]
    words: frozenset[str]
    bias: Mapping[str, float]
    rows: Mapping[str, tuple[tuple[str, float], ...]]

    def scores(self, features: Sequence[str]) -> dict[str, float]:
        """Log-odds of every tool against none."""
        sums = dict(self.bias)
        scale = 1.0 / math.sqrt(len(features) + 1)
        for feature in features:
            for name, weight in self.rows.get(feature, ()):
                sums[name] += weight * scale
        away, change = sums.pop(NO_TOOL), sums.pop(CHANGE)
        nothing = max(away, change) + math.log1p(math.exp(-abs(away - change)))
        return {name: value - nothing for name, value in sums.items()}


def read_table(text: str) -> Table:
    """The table as training/routing.py writes it. Raises KeyError or ValueError when it is not."""
    raw = json.loads(text)
    names: list[str] = raw["tools"]
    unit: float = raw["unit"]
    return Table(
        tools=frozenset(names) - {NO_TOOL, CHANGE},
        words=frozenset(raw["words"]),
        bias={name: value * unit for name, value in zip(names, raw["bias"], strict=True)},
        rows={
            feature: tuple(
                (names[index], value * unit)
                for index, value in zip(entries[::2], entries[1::2], strict=True)
            )
            for feature, entries in raw["rows"].items()
        },
    )

"""A linear table: the weights of named features, as the learners under `training/` write them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LinearTable:
    """`rows` maps a feature to pairs of output and steps, flat; a step is `unit`. `bias` has one
    number per output. What else the learner wrote stands in `more`."""

    outputs: tuple[str, ...]
    unit: float
    bias: tuple[float, ...]
    rows: Mapping[str, Sequence[int]]
    more: Mapping[str, Any]

    def sums(self, features: Iterable[str]) -> list[float]:
        """What the weights of `features` add up to for each output, without the bias."""
        steps = [0] * len(self.outputs)
        for feature in features:
            row = self.rows.get(feature)
            if row is not None:
                for at in range(0, len(row), 2):
                    steps[row[at]] += row[at + 1]
        return [step * self.unit for step in steps]


def load_table(file: Path) -> LinearTable:
    """Raises OSError or ValueError when the distribution's file is missing or damaged."""
    document = json.loads(file.read_text(encoding="utf-8"))
    unit = float(document["unit"])
    return LinearTable(
        outputs=tuple(document["outputs"]),
        unit=unit,
        bias=tuple(step * unit for step in document["bias"]),
        rows={feature: tuple(row) for feature, row in document["rows"].items()},
        more=document["more"],
    )

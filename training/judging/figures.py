"""One measured figure, its bar, and how a list of them is printed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`least` or `most` is the bar, where there is one. `of` is how many items it rests on."""

    what: str
    value: float
    of: int
    least: float | None = None
    most: float | None = None
    unit: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the bar is reached; None where there is none."""
        if self.least is not None:
            return self.value >= self.least
        if self.most is not None:
            return self.value <= self.most
        return None

    @property
    def bar(self) -> str:
        if self.least is not None:
            return f"≥ {self.least:g}"
        if self.most is not None:
            return f"≤ {self.most:g}"
        return ""

    def as_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "reached": self.reached}


def share(part: int, whole: int) -> float:
    """0 of 0 is 0: a set without such items reaches no bar by accident."""
    return part / whole if whole else 0.0


def markdown(figures: Sequence[Figure]) -> str:
    """A table: what, bar, measured, items, reached."""
    rows = ["| what | bar | measured | items | |", "|---|---|---|---|---|"]
    for figure in figures:
        mark = {True: "reached", False: "**not reached**", None: ""}[figure.reached]
        shown = f"{figure.value:.3f}" if not figure.unit else f"{figure.value:,.0f}{figure.unit}"
        rows.append(f"| {figure.what} | {figure.bar} | {shown} | {figure.of} | {mark} |")
    return "\n".join(rows)


def calibration_error(
    probabilities: Sequence[float], truths: Sequence[bool], bins: int = 10
) -> float:
    """Expected calibration error of yes/no probabilities: over ten bins of equal width, the
    distance between the mean probability and the share of yes, weighted by the bin's size.

    Source: Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning" (2015).
    """
    error = 0.0
    for number in range(bins):
        inside = [i for i, p in enumerate(probabilities) if min(int(p * bins), bins - 1) == number]
        if inside:
            mean = sum(probabilities[i] for i in inside) / len(inside)
            yes = sum(truths[i] for i in inside) / len(inside)
            error += abs(mean - yes) * len(inside) / len(probabilities)
    return error


def numbers(text: str) -> list[str]:
    """The figures of a text, digits with their separators, as they stand."""
    return re.findall(r"\d+(?:[.,:]\d+)*", text)

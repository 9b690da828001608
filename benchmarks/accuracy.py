"""How well a grouping of lines fits the truth.

Grouping accuracy (GA): the share of lines whose group is exactly a group of the truth (Zhu et al.,
"Tools and Benchmarks for Automated Log Parsing", ICSE-SEIP 2019). F1 of grouping accuracy (FGA):
the same over templates instead of lines, so that rare ones count as much as frequent ones (Jiang
et al., "A Large-Scale Evaluation for Log Parsing Techniques", ISSTA 2024).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence


@dataclasses.dataclass(frozen=True, slots=True)
class Accuracy:
    """Both between 0 and 1. `found` and `true` are numbers of groups."""

    ga: float
    fga: float
    found: int
    true: int


def accuracy(found: Sequence[Hashable], truth: Sequence[Hashable]) -> Accuracy:
    """Compares two labellings of the same lines. Raises ValueError for different lengths."""
    mine, theirs = _groups(found), _groups(truth)
    if len(found) != len(truth):
        raise ValueError(f"{len(found)} labels for {len(truth)} lines")
    if not found:
        return Accuracy(1.0, 1.0, 0, 0)
    right = set(mine.values()) & set(theirs.values())
    precision, recall = len(right) / len(mine), len(right) / len(theirs)
    fga = 2 * precision * recall / (precision + recall) if right else 0.0
    return Accuracy(sum(map(len, right)) / len(found), fga, len(mine), len(theirs))


def _groups(labels: Sequence[Hashable]) -> dict[Hashable, tuple[int, ...]]:
    groups: dict[Hashable, list[int]] = {}
    for line, label in enumerate(labels):
        groups.setdefault(label, []).append(line)
    return {label: tuple(lines) for label, lines in groups.items()}

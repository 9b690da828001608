"""Learns linear tables (`tiers/nano/linear.py`): counting, fitting, pruning and writing."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Small steps are slower on several threads than on one, much slower on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def numbered(rows: Iterable[Sequence[str]], *, least: int) -> dict[str, int]:
    """Numbers of the features that are seen `least` times; 0 is left for "none"."""
    counts = Counter(feature for row in rows for feature in set(row))
    kept = sorted(feature for feature, count in counts.items() if count >= least)
    return {feature: number for number, feature in enumerate(kept, 1)}


def packed(rows: Sequence[Sequence[str]], numbers: Mapping[str, int]) -> torch.Tensor:
    """Feature numbers, [rows, longest], padded with 0."""
    found = [[numbers[f] for f in row if f in numbers] for row in rows]
    longest = max((len(row) for row in found), default=1) or 1
    out = torch.zeros((len(found), longest), dtype=torch.int32)
    for at, row in enumerate(found):
        out[at, : len(row)] = torch.tensor(row, dtype=torch.int32)
    return out


def write_table(
    file: Path,
    *,
    made_by: str,
    outputs: Sequence[str],
    numbers: Mapping[str, int],
    weights: torch.Tensor,
    bias: torch.Tensor,
    unit: float,
    least: int,
    more: Mapping[str, Any],
) -> None:
    """Round weights ([features + 1, outputs]) to steps of `unit`; those below `least` are left
    out."""
    steps = (weights / unit).round().int().tolist()
    rows = {}
    for feature, number in numbers.items():
        flat = [
            part
            for output, step in enumerate(steps[number])
            if abs(step) >= least
            for part in (output, step)
        ]
        if flat:
            rows[feature] = flat
    table = {
        "made_by": made_by,
        "outputs": list(outputs),
        "unit": unit,
        "bias": (bias / unit).round().int().tolist(),
        "more": dict(more),
        "rows": rows,
    }
    lines = [
        f"{json.dumps(key)}:{json.dumps(value, ensure_ascii=False, separators=(',', ':'))}"
        for key, value in table.items()
    ]
    file.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")

"""Prints a benchmark's result: a table for people, then one line of JSON for programs."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping, Sequence

Cell = str | int | float | None


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:.4f}" if abs(cell) < 10 else f"{cell:,.1f}"
    if isinstance(cell, int):
        return f"{cell:,}"
    return cell


def format_table(rows: Sequence[Mapping[str, Cell]]) -> str:
    """Rows with the same keys as a table. Numbers are flush right. No rows: an empty text."""
    if not rows:
        return ""
    columns = list(rows[0])
    texts = [[_text(row.get(column)) for column in columns] for row in rows]
    widths = [
        max(len(column), *(len(line[at]) for line in texts)) for at, column in enumerate(columns)
    ]
    numeric = [
        all(isinstance(row.get(column), (int, float, type(None))) for row in rows)
        for column in columns
    ]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, numeric, strict=True)
        ).rstrip()

    ruler = "  ".join("-" * width for width in widths)
    return "\n".join((line(columns), ruler, *map(line, texts)))


def report(
    name: str,
    rows: Sequence[Mapping[str, Cell]],
    *,
    facts: Mapping[str, Cell | Mapping[str, Cell]] | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Prints the table, the notes, and `{"benchmark", "rows", "facts", "machine"}` as JSON."""
    print(f"\n{name}\n")
    print(format_table(rows))
    for note in notes:
        print(f"  {note}")
    machine = {"python": platform.python_version(), "system": platform.platform()}
    record = {
        "benchmark": name,
        "rows": list(rows),
        "facts": dict(facts or {}),
        "machine": machine,
    }
    print(json.dumps(record))
    sys.stdout.flush()

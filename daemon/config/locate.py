"""Finds the line of a setting in a TOML text, for error messages."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TABLE = re.compile(r"^\s*\[(\[)?\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(
    r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*="""
)


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    """The line (from 1) where the setting at `path` stands, else that of its nearest table.

    `path` is pydantic's location: names, and indexes into arrays of tables.
    """
    wanted = [part for part in path if isinstance(part, str)]
    indexes = [part for part in path if isinstance(part, int)]
    table: list[str] = []
    seen_arrays: dict[tuple[str, ...], int] = {}
    best: tuple[int, int] | None = None  # how much of the path fits, line
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _TABLE.match(line):
            table = _split(match.group(2))
            here = table
            if match.group(1):
                position = seen_arrays.get(tuple(table), -1) + 1
                seen_arrays[tuple(table)] = position
                if indexes and wanted[: len(table)] == table and position != indexes[0]:
                    continue
        elif match := _KEY.match(line):
            here = table + _split(match.group(1))
        else:
            continue
        if here and wanted[: len(here)] == here and (best is None or len(here) > best[0]):
            best = (len(here), number)
    return None if best is None else best[1]


def _split(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]

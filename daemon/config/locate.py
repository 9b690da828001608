"""Finds the line of a setting in a TOML text, for error messages."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NAME = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_NAME}(?:\s*\.\s*{_NAME})*"
_TABLE = re.compile(rf"^\s*(?P<array>\[)?\[\s*(?P<path>{_DOTTED})\s*\]")
_KEY = re.compile(rf"^\s*(?P<path>{_DOTTED})\s*=")
_NAMES = re.compile(_NAME)
_LONG_QUOTES = re.compile(r'"""|\'\'\'')


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    """The line (from 1) where the setting at `path` stands, else that of its nearest table; None
    when the text has nothing of it.

    `path` is pydantic's location: names, and indexes into arrays of tables.
    """
    wanted = tuple(path)
    table: tuple[str | int, ...] = ()
    positions: dict[tuple[str | int, ...], int] = {}
    best: tuple[int, int] | None = None  # how much of the path fits, line
    quote = ""
    for number, line in enumerate(text.splitlines(), start=1):
        inside, quote = bool(quote), _open_quote(line, quote)
        if inside:
            continue
        if match := _TABLE.match(line):
            names = _split(match["path"])
            if match["array"]:
                bare = (*_placed(names[:-1], positions), names[-1])
                positions[bare] = positions.get(bare, -1) + 1
            here = table = _placed(names, positions)
        elif match := _KEY.match(line):
            here = table + tuple(_split(match["path"]))
        else:
            continue
        if wanted[: len(here)] == here and (best is None or len(here) > best[0]):
            best = (len(here), number)
    return None if best is None else best[1]


def _placed(
    names: Sequence[str], positions: dict[tuple[str | int, ...], int]
) -> tuple[str | int, ...]:
    """Names with the index of the newest element after each array of tables."""
    placed: tuple[str | int, ...] = ()
    for name in names:
        placed = (*placed, name)
        if placed in positions:
            placed = (*placed, positions[placed])
    return placed


def _open_quote(line: str, quote: str) -> str:
    """The long quote that is still open at the end of a line; empty when none is."""
    for mark in _LONG_QUOTES.findall(line):
        if not quote:
            quote = mark
        elif mark == quote:
            quote = ""
    return quote


def _split(dotted: str) -> list[str]:
    return [name.strip("\"'") for name in _NAMES.findall(dotted)]

"""Finds words in a log line that address its reader ("ignore the above", a fake verdict) and takes
them out before the line is judged.

A small linear tagger: each word has log-odds of belonging to a demand, from itself and its
neighbours; the likeliest sequence of "log" and "demand" follows by Viterbi's algorithm with a cost
for every change. Going back to "log" costs more: what is added stands mostly at the end. The
weights are learned by `python -m training.demands` from the generator. It only decides what the
small models read: the stored line stays whole, and what it misses the model was taught to overlook.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path

from tiers.nano.linear import LinearTable, load_table

WEIGHTS = Path(__file__).with_name("demands.json")
MAX_CHARACTERS = 4_000
"""A longer text is looked at in its head and its tail of half as many each."""

_UNSPACED = "\u0900-\u097f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")
_EDGE = re.compile(r"^\W+|\W+$")
_DIGITS = re.compile(r"\d+")
_LETTER = re.compile(r"[^\W\d_]")
_MARKS = (
    "<|",
    "|>",
    "[/",
    "</",
    "<<",
    '{"',
    '":',
    "```",
    "===",
    "---",
    "***",
    "###",
    "$",
    "/*",
    "!",
)
_REST_LETTERS = 3
"""A line of which fewer letters are left is judged whole: it is nothing but a demand."""


@functools.lru_cache(maxsize=512)
def without_demands(text: str) -> str:
    """`text` less the words that address its reader; as it is where nothing else would be left."""
    if len(text) > MAX_CHARACTERS:
        half = MAX_CHARACTERS // 2
        return f"{_cut(text[:half])} ... {_cut(text[-half:])}"
    return _cut(text)


def _cut(text: str) -> str:
    words = [match.span() for match in _WORD.finditer(text)]
    table = demands_table()
    marked = tagged([text[a:b] for a, b in words], table)
    if not any(marked):
        return text
    kept: list[str] = []
    start = 0
    for (a, b), demand in zip(words, marked, strict=True):
        if demand:
            kept.append(text[start:a])
            start = b
    kept.append(text[start:])
    rest = "".join(kept).strip(" \t\r\n;|,-/#>")
    return rest if len(_LETTER.findall(rest)) >= _REST_LETTERS else text


def tagged(words: Sequence[str], table: LinearTable) -> list[bool]:
    """Which words belong to a demand: the likeliest sequence."""
    begins, ends, least = (float(table.more[key]) for key in ("begins", "ends", "least"))
    odds = [table.sums(features)[0] + table.bias[0] for features in features_of(words)]
    log, demand = [0.0], [-begins]
    came: list[tuple[bool, bool]] = []
    for each in odds:
        came.append((demand[-1] - ends > log[-1], demand[-1] >= log[-1] - begins))
        log, demand = (
            [*log, max(log[-1], demand[-1] - ends)],
            [*demand, max(demand[-1], log[-1] - begins) + each],
        )
    state = demand[-1] > log[-1]
    marked = [False] * len(words)
    for at in range(len(words) - 1, -1, -1):
        marked[at] = state
        state = came[at][1] if state else came[at][0]
    return _strong(marked, odds, least)


def _strong(marked: list[bool], odds: Sequence[float], least: float) -> list[bool]:
    """Only spans whose log-odds add up to `least`."""
    start = 0
    while start < len(marked):
        if not marked[start]:
            start += 1
            continue
        end = start
        while end < len(marked) and marked[end]:
            end += 1
        if sum(odds[start:end]) < least:
            marked[start:end] = [False] * (end - start)
        start = end
    return marked


def features_of(words: Sequence[str]) -> list[list[str]]:
    """The features of each word: itself, its two neighbours on each side, marks and script."""
    plain = [_plain(word) for word in words]
    around = ["^", "^", *plain, "$", "$"]
    tails = ["^", *(_tail(word) for word in words)]
    out = []
    for at, word in enumerate(words):
        before2, before, here, after, after2 = around[at : at + 5]
        found = [
            f"0{here}", f"-{before}", f"+{after}", f"={before2}", f"#{after2}",
            f"<{before} {here}", f">{here} {after}", f"_{here[:4]}", f"~{here[-3:]}",
            f"s{_shape(word)}", f"t{tails[at]}", f"u{tails[at + 1]}",
        ]  # fmt: skip
        found += [f"m{mark}" for mark in _MARKS if mark in word]
        out.append(found)
    return out


def _plain(word: str) -> str:
    return _DIGITS.sub("0", _EDGE.sub("", word).lower())[:24] or word[:3]


def _tail(word: str) -> str:
    found = _EDGE.search(word[-1:])
    return found.group() if found else ""


def _shape(word: str) -> str:
    letters = _LETTER.findall(word)
    if not letters:
        return "0" if any(c.isdigit() for c in word) else "."
    script = "l" if letters[0].isascii() else f"u{ord(letters[0]) >> 8:x}"
    case = "A" if word.isupper() else "a" if word.islower() else "Aa"
    inner = "/" if "/" in word else "_" if "_" in word else "=" if "=" in word else ""
    digits = "0" if any(c.isdigit() for c in word) else ""
    return script + case + inner + digits


@functools.cache
def demands_table() -> LinearTable:
    """The learned table, read once."""
    return load_table(WEIGHTS)

"""How people write: lower case, typing mistakes, courtesies, context around the question.

Values that a tool argument is copied from stand in the text as single private-use characters
until the end, so that none of this changes them.
"""

from __future__ import annotations

import pathlib
import random
import re
import tomllib
from collections.abc import Sequence

from training.data.chat import lexicon
from training.data.chat.grammar import Template, parse_lines

_FIRST_HOLE = 0xE000
_TABLE = tomllib.loads((pathlib.Path(__file__).parent / "style.toml").read_text(encoding="utf-8"))

_BEFORE = parse_lines(_TABLE["before"])
_CONTEXT = parse_lines(_TABLE["context"])
_AFTER = parse_lines(_TABLE["after"])
_ENDS = ("?", "?", "?", "?", "?", "?", "", "", "", "", ".", ".", "??", "!", " ?", "...", "?!")
_NEIGHBOURS = {
    "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj",
    "i": "uo", "j": "hk", "k": "jl", "l": "k", "m": "n", "n": "bm", "o": "ip", "p": "o",
    "q": "w", "r": "et", "s": "ad", "t": "ry", "u": "yi", "v": "cb", "w": "qe", "x": "zc",
    "y": "tu", "z": "x",
}  # fmt: skip
_SHORT = {
    "you": "u", "are": "r", "please": "pls", "what": "wat", "with": "w/", "and": "&",
    "because": "cuz", "the": "teh", "how much": "hw much", "what is": "whats", "is it": "isit",
    "running": "runnin", "service": "svc", "memory": "mem", "directory": "dir", "process": "proc",
    "processes": "procs", "machine": "box", "going": "goin", "do not": "dont", "cannot": "cant",
}  # fmt: skip
_SHORTENED = re.compile(r"\b(" + "|".join(sorted(_SHORT, key=len, reverse=True)) + r")\b")
_WORD = re.compile(r"[A-Za-z]{4,}")
_SPACES = re.compile(r"\s+")
_SPACE_BEFORE = re.compile(r"\s+([,.;:?!])")


class Holes:
    """Keeps values out of the way of what styling does to the words around them."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: list[str] = []

    def keep(self, value: str) -> str:
        """A character that stands for the value until `fill`."""
        self.values.append(value)
        return chr(_FIRST_HOLE + len(self.values) - 1)

    def fill(self, text: str) -> str:
        for index, value in enumerate(self.values):
            text = text.replace(chr(_FIRST_HOLE + index), value)
        return text


def _decoration(rng: random.Random, templates: Sequence[Template]) -> str:
    def fill(name: str) -> str:
        return lexicon.host(rng) if name == "host" else str(rng.randint(10, 99999))

    return templates[int(rng.random() * len(templates))].expand(rng, fill)


def _mistype(rng: random.Random, text: str) -> str:
    words = list(_WORD.finditer(text))
    if not words:
        return text
    match = words[int(rng.random() * len(words))]
    letters = match.group()
    at = 1 + int(rng.random() * (len(letters) - 2))
    kind = rng.random()
    if kind < 0.35:  # two letters swapped
        changed = letters[:at] + letters[at + 1] + letters[at] + letters[at + 2 :]
    elif kind < 0.6:  # one missing
        changed = letters[:at] + letters[at + 1 :]
    elif kind < 0.8:  # one doubled
        changed = letters[:at] + letters[at] + letters[at:]
    else:  # the key beside it
        keys = _NEIGHBOURS.get(letters[at].lower(), letters[at])
        changed = letters[:at] + keys[int(rng.random() * len(keys))] + letters[at + 1 :]
    return text[: match.start()] + changed + text[match.end() :]


def tidy(text: str) -> str:
    """Single spaces, none before punctuation."""
    return _SPACE_BEFORE.sub(r"\1", _SPACES.sub(" ", text)).strip(" ,")


def write(rng: random.Random, question: str, holes: Holes, *, plain: float = 0.35) -> str:
    """The question as somebody types it, with the kept values put back. `plain` is how often it
    stays nearly as it is."""
    text = tidy(question)
    long_winded = rng.random()
    if rng.random() >= plain:
        if long_winded < 0.28:
            text = f"{_decoration(rng, _BEFORE)} {text}"
        if long_winded > 0.86:
            text = f"{text} {_decoration(rng, _AFTER)}"
        if 0.2 < long_winded < 0.32:
            text = f"{_decoration(rng, _CONTEXT)} {text[:1].upper()}{text[1:]}"
        if rng.random() < 0.12:
            text = _SHORTENED.sub(lambda match: _SHORT[match.group()], text, count=1)
        if rng.random() < 0.16:
            text = _mistype(rng, text)
            if rng.random() < 0.3:
                text = _mistype(rng, text)
        if rng.random() < 0.04:
            text = text.replace("'", "")
    case = rng.random()
    if case < 0.3:
        text = text.lower()
    elif case < 0.8:
        text = text[:1].upper() + text[1:]
    elif case < 0.81:
        text = text.upper()
    text = tidy(text)
    if text[-1:] not in ".?!" or rng.random() < 0.1:
        text += _ENDS[int(rng.random() * len(_ENDS))]
    return holes.fill(text)

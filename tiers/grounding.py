"""Do the figures of an answer come from somewhere: a tool's result, or the user's own words.

Pure. A figure is a number in a text ("42", "1,234.5", "71 %"), a word that holds digits ("eth0",
"postgresql@14") or a path. Rounding is allowed ("71.6" may be told as "72"), computing is not: what
a model worked out by itself is not looked up.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator

_WORDS = re.compile(
    r"(?<![\w/])/\w[^\s,;()\[\]{}<>\"'`*|=]*"
    r"|[^\s,;()\[\]{}<>\"'`*|=]*\d[^\s;()\[\]{}<>\"'`*|=]*"
)
_PATH = re.compile(r"/\w.*", re.DOTALL)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SAID = re.compile(r"(?<![a-z_])\d+(?:[.,]\d+)*")
"""A number of a source; the digits of a name ("eth0") are none."""
_PURE = re.compile(r"[~≈+-]?(\d+(?:[.,]\d+)*)(?:\W*|%|\W*[a-zA-Zµ°%]{1,6}(?:/[a-zA-Z]{1,4})?)")
_ORDINAL = re.compile(r"^\s*(?:\d{1,2}[.)]|[-*])\s+", re.MULTILINE)
_EDGES = ".,:!?%…\u2013\u2014-"
_MOST_DECIMALS = 9


@dataclasses.dataclass(frozen=True, slots=True)
class Sources:
    """What may be cited: all texts in one, lower case, and the numbers in them."""

    text: str
    numbers: frozenset[float]


def sources_of(texts: Iterable[str]) -> Sources:
    """`texts` are tools' results as the model read them, and what the user wrote."""
    joined = "\n".join(texts).lower()
    numbers = {value for found in _SAID.findall(joined) for value in _values(found)}
    return Sources(text=joined, numbers=frozenset(numbers))


def ungrounded(answer: str, sources: Sources) -> list[str]:
    """The figures of an answer that no source holds, each once, in order."""
    missing = dict.fromkeys(figure for figure in figures(answer) if not _grounded(figure, sources))
    return list(missing)


def figures(text: str) -> Iterator[str]:
    """The figures of a text. The numbers of a numbered list are not figures."""
    for found in _WORDS.findall(_ORDINAL.sub("", text)):
        if _PATH.match(found):
            yield found.rstrip(_EDGES)
            continue
        if (figure := found.strip(_EDGES)) and any(letter.isdigit() for letter in figure):
            yield figure


def has_figures(text: str) -> bool:
    return any(True for _ in figures(text))


def _grounded(figure: str, sources: Sources) -> bool:
    if not figure.isdigit() and _stands_in(figure.lower(), sources.text):
        return True
    if _PATH.fullmatch(figure):
        return False
    pure = _PURE.fullmatch(figure)
    if pure is not None:
        return _known(pure[1], sources.numbers)
    parts = _NUMBER.findall(figure)
    starts_plain = figure[0].isdigit()
    # "12:30" or "3/4" are several numbers; "eth7" is a name, and names are not put together.
    return starts_plain and all(_known(part, sources.numbers) for part in parts)


def _stands_in(word: str, text: str) -> bool:
    """Whether a text holds a word as a whole: "1.2" does not stand in "11.2"."""
    at = text.find(word)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(word) : at + len(word) + 1]
        if not (before.isalnum() or before == ".") and not after.isalnum():
            return True
        at = text.find(word, at + 1)
    return False


def _known(written: str, numbers: frozenset[float]) -> bool:
    """Whether a written number, or one that it is the rounding of, is among `numbers`."""
    for value, decimals in _readings(written):
        if value in numbers:
            return True
        if decimals > _MOST_DECIMALS:
            continue
        half = 0.5 * 10.0**-decimals + 1e-9
        finer = (number for number in numbers if number * 10**decimals % 1)
        if any(abs(value - number) <= half for number in finer):
            return True
    return False


def _values(written: str) -> Iterator[float]:
    for value, _ in _readings(written):
        yield value


def _readings(written: str) -> Iterator[tuple[float, int]]:
    """What a written number may mean, with its decimals: "1,234" is 1234, or 1.234 where a comma
    is the point. "16.2.1" is no number: as a whole it is in a text, or it is not."""
    plain = written.replace(",", "")
    if plain.count(".") <= 1:
        yield float(plain), len(plain.partition(".")[2])
    if written.count(",") == 1 and "." not in written:
        yield float(written.replace(",", ".")), len(written.partition(",")[2])

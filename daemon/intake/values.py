"""The variable parts of lines, read fast: what `mask.mask_values` says, with a memory for words.

A host's lines are made of few words. Those without a digit are looked at once. Of those with
digits it is remembered by their shape (each run of digits as "0") where in them the value stands:
words of one shape are masked alike, see `mask.collapse`. Only "0x" is more than its shape.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from daemon.intake.mask import LONGEST_TEXT, MOST_VALUES, collapse, mask_values
from daemon.intake.phrases import may_name_user, users_of
from daemon.intake.tokens import mask_word

Value = tuple[str, str]
"""Kind and value."""

_MOST_KEPT = 20_000
_LONGEST_KEPT = 64
_HAS_DIGIT = re.compile(r"[0-9]").search


class _Place(NamedTuple):
    """The one value of words of a shape: its kind, and the characters before and after it."""

    kind: str
    before: int
    after: int


class ValueReader:
    """Reads values. Bounded: everything is forgotten when there is too much of it."""

    __slots__ = ("_places", "_words")

    def __init__(self) -> None:
        self._words: dict[str, tuple[Value, ...]] = {}
        self._places: dict[str, _Place] = {}

    def read(self, text: str) -> list[Value]:
        """As `mask_values(text)`."""
        if len(text) > LONGEST_TEXT or not text.isprintable():
            return mask_values(text)
        words = text.split()
        known, look = self._words.get, self._look
        values: list[Value] = []
        if may_name_user(text):
            users = users_of(" ".join(words))
            values += [("user", name) for name in users]
            named = frozenset(users)
        else:
            named = _NOBODY
        for word in words:
            found = known(word)
            if found is None:
                found = look(word)
            if found:
                values += [each for each in found if each[1] not in named] if named else found
                if len(values) >= MOST_VALUES:
                    return values[:MOST_VALUES]
        return values

    def _look(self, word: str) -> tuple[Value, ...]:
        if len(word) > _LONGEST_KEPT:
            return _values(word)
        digits = _HAS_DIGIT(word) is not None and "0x" not in word and "0X" not in word
        shape = collapse(word) if digits else ""
        place = self._places.get(shape) if digits else None
        if place is not None:
            return ((place.kind, word[place.before : len(word) - place.after]),)
        found = _values(word)
        place = _place(word, found) if digits else None
        if place is not None:
            if len(self._places) >= _MOST_KEPT:
                self._places.clear()
            self._places[shape] = place
        else:
            if len(self._words) >= _MOST_KEPT:
                self._words.clear()
            self._words[word] = found
        return found


_NOBODY: frozenset[str] = frozenset()


def _values(word: str) -> tuple[Value, ...]:
    found: list[Value] = []
    mask_word(word, lambda kind, value: found.append((kind, value)))
    return tuple(found)


def _place(word: str, found: tuple[Value, ...]) -> _Place | None:
    """Where the one value stands, if it holds all digits of the word and could stand nowhere
    else."""
    if len(found) != 1:
        return None
    kind, value = found[0]
    if not value or word.count(value) != 1:
        return None
    before = word.index(value)
    after = len(word) - before - len(value)
    if _HAS_DIGIT(word[:before]) or _HAS_DIGIT(word[len(word) - after :]):
        return None
    return _Place(kind, before, after)

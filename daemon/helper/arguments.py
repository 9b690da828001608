"""Typed values out of what a request holds. Whatever does not fit is refused, with the reason."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from daemon.helper.errors import RefusedError

UNIT = re.compile(
    r"[A-Za-z0-9:_.\\@-]{1,240}\.(service|socket|timer|path|target|mount|scope|slice)", re.ASCII
)


class Arguments:
    """Takes values by name; `end` refuses what nobody took."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._left = dict(raw)

    def text(self, name: str, pattern: re.Pattern[str]) -> str:
        """A text that `pattern` matches as a whole."""
        value = self._take(name)
        if not isinstance(value, str):
            raise RefusedError(f"{name} has to be a text")
        return _matching(name, value, pattern)

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """One of `choices`."""
        value = self._take(name)
        if not isinstance(value, str) or value not in choices:
            raise RefusedError(f"{name} has to be one of {', '.join(choices)}")
        return value

    def whole(self, name: str, *, least: int, most: int) -> int:
        """A whole number within bounds, both included."""
        value = self._take(name)
        if type(value) is not int:
            raise RefusedError(f"{name} has to be a whole number")
        if not least <= value <= most:
            raise RefusedError(f"{name} has to be from {least} to {most}")
        return value

    def texts(self, name: str, pattern: re.Pattern[str], *, most: int) -> tuple[str, ...]:
        """One to `most` different texts that `pattern` matches."""
        value = self._take(name)
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            raise RefusedError(f"{name} has to be a list of 1 to {most} texts")
        found = []
        for entry in value:
            if not isinstance(entry, str):
                raise RefusedError(f"{name} has to be a list of texts")
            found.append(_matching(name, entry, pattern))
        if len(set(found)) != len(found):
            raise RefusedError(f"{name} holds something twice")
        return tuple(found)

    def table(self, name: str) -> Arguments:
        """An object, to be taken apart in the same way."""
        value = self._take(name)
        if not isinstance(value, dict):
            raise RefusedError(f"{name} has to be an object")
        return Arguments(value)

    def has(self, name: str) -> bool:
        return name in self._left

    def end(self) -> None:
        """Raises `RefusedError` where something is left."""
        if self._left:
            names = ", ".join(ascii(name)[:40] for name in sorted(self._left)[:3])
            raise RefusedError(f"the verb does not take {names}")

    def _take(self, name: str) -> Any:
        try:
            return self._left.pop(name)
        except KeyError:
            raise RefusedError(f"{name} is missing") from None


def _matching(name: str, value: str, pattern: re.Pattern[str]) -> str:
    if not _is_unicode(value) or not pattern.fullmatch(value):
        raise RefusedError(f"{name} has a form that the helper does not take: {ascii(value)[:80]}")
    return value


def _is_unicode(value: str) -> bool:
    """JSON can hold half a character, which no file and no program takes."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True

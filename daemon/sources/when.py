"""When recurring work is due: "03:30", "every 6h", "off". Pure."""

from __future__ import annotations

import dataclasses
import re
from datetime import datetime, timedelta

_EVERY = re.compile(r"every (\d{1,4}) ?(min|m|h|d)")
_AT = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_UNITS = {"m": 60.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}
_LONGEST = 366 * 86_400.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """Either `every` seconds, or at `minute` of the local day; both None: never."""

    every: float | None = None
    minute: int | None = None

    def due_after(self, last: float) -> float | None:
        """The first moment after `last` at which it is due (Unix time); None: never.

        Local time, so that "03:30" stays 03:30 over a change to summer time: a time that does not
        exist that day is the moment just after the gap, one that comes twice counts once.
        """
        if self.every is not None:
            return last + self.every
        if self.minute is None:
            return None
        start = datetime.fromtimestamp(last).astimezone()
        hour, minute = divmod(self.minute, 60)
        for day in range(3):
            date = (start + timedelta(days=day)).date()
            # Without a zone: the rules of that day apply, not those of today.
            at = datetime(date.year, date.month, date.day, hour, minute).timestamp()  # noqa: DTZ001
            if at > last:
                return at
        raise AssertionError(last)


def parse_when(text: str) -> When:
    """Raises `ValueError` with what is allowed."""
    word = text.strip().lower()
    if word == "off":
        return When()
    every = _EVERY.fullmatch(word)
    if every is not None:
        seconds = int(every.group(1)) * _UNITS[every.group(2)]
        if 60 <= seconds <= _LONGEST:
            return When(every=seconds)
    at = _AT.fullmatch(word)
    if at is not None:
        return When(minute=int(at.group(1)) * 60 + int(at.group(2)))
    message = f'{text!r} is no time: write "HH:MM", "every 30min", "every 6h", "every 1d" or "off"'
    raise ValueError(message)

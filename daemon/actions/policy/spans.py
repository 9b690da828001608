"""Times of the day and of the week: quiet hours "22:00-07:00", windows "Sun 02:00-04:00". Pure."""

from __future__ import annotations

import dataclasses
import functools
import re
from datetime import datetime

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = 24 * 60
_TIMES = re.compile(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)", re.ASCII)
_FORM = (
    'write it as "02:00-04:00", "Sun 02:00-04:00", "Mon-Fri 22:00-06:00" or "Sat,Sun 00:00-24:00"'
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From `start` to before `end`, in minutes of the local day, on the `days` (0: Monday) on which
    it begins. An `end` that is not after `start` is on the day after."""

    days: frozenset[int]
    start: int
    end: int

    def holds(self, at: datetime) -> bool:
        """`at` is local time."""
        minute = at.hour * 60 + at.minute
        today = at.weekday()
        if self.start < self.end:
            return today in self.days and self.start <= minute < self.end
        begun_yesterday = (today - 1) % 7 in self.days and minute < self.end
        return begun_yesterday or (today in self.days and minute >= self.start)


@functools.lru_cache(maxsize=256)
def parse_span(text: str) -> Span:
    """Raises `ValueError` with what is wrong and how it is written."""
    days, _, times = text.strip().rpartition(" ")
    match = _TIMES.fullmatch(times)
    if match is None:
        raise ValueError(f"{text!r} is no span of time: {_FORM}")
    start_hour, start_minute, end_hour, end_minute = map(int, match.groups())
    start, end = start_hour * 60 + start_minute, end_hour * 60 + end_minute
    if start >= _DAY or end > _DAY:
        raise ValueError(f"{text!r}: a day ends at 24:00, and a span begins before")
    if start == end:
        raise ValueError(f'{text!r} is empty; the whole day is "00:00-24:00"')
    return Span(days=_days(days.strip(), text), start=start, end=end)


def _days(words: str, text: str) -> frozenset[int]:
    if not words:
        return frozenset(range(7))
    found: set[int] = set()
    for word in words.split(","):
        first, dash, last = word.strip().partition("-")
        begin, end = _day(first, text), _day(last if dash else first, text)
        found.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(found)


def _day(word: str, text: str) -> int:
    try:
        return _DAYS.index(word.strip().lower())
    except ValueError:
        known = ", ".join(day.capitalize() for day in _DAYS)
        raise ValueError(f"{text!r}: {word.strip()!r} is no day ({known}); {_FORM}") from None

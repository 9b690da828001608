"""Spans of time as people say them in chats: "an hour", "30 minutes", "zwei Tage". Pure."""

from __future__ import annotations

import re

_SECONDS = {"minute": 60, "min": 60, "hour": 3600, "stunde": 3600, "h": 3600}
_SECONDS |= {"day": 86_400, "tag": 86_400, "week": 604_800, "woche": 604_800}
_NUMBERS = {
    "a": 1, "an": 1, "one": 1, "ein": 1, "eine": 1, "einen": 1, "einer": 1, "two": 2, "zwei": 2,
    "three": 3, "drei": 3, "four": 4, "vier": 4, "five": 5, "six": 6, "sechs": 6, "ten": 10,
    "zehn": 10, "twelve": 12,
}  # fmt: skip
SPAN = (
    rf"(?:(?P<span_number>[0-9]{{1,6}}|{'|'.join(_NUMBERS)})[ ]*)?"
    r"(?P<span_unit>minute|min|hour|stunde|h|day|tag|week|woche)(?:s|n|en)?"
)
"""One span, for a larger pattern. Without a number it is one: "the last hour"."""


def seconds_of(found: re.Match[str]) -> int | None:
    """The seconds of the `SPAN` in a match; None where it has none."""
    unit, number = found["span_unit"], found["span_number"]
    if unit is None:
        return None
    said = (number or "one").lower()
    return (int(said) if said.isdigit() else _NUMBERS[said]) * _SECONDS[unit.lower()]


def hours_of(found: re.Match[str]) -> int | None:
    """The same in hours, rounded up."""
    seconds = seconds_of(found)
    return None if seconds is None else max(1, -(-seconds // 3600))

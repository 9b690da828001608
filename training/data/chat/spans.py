"""Spans of time and amounts as people say them, with the numbers that they mean."""

from __future__ import annotations

import random

_WORDS = {
    1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight",
    9: "nine", 10: "ten", 12: "twelve", 15: "fifteen", 20: "twenty", 24: "twenty-four",
    30: "thirty", 36: "thirty-six", 40: "forty", 48: "forty-eight", 50: "fifty", 100: "a hundred",
}  # fmt: skip
_FIXED: tuple[tuple[str, int], ...] = (
    ("since yesterday", 24),
    ("since yesterday", 24),
    ("today", 24),
    ("today", 24),
    ("yesterday", 48),
    ("last night", 24),
    ("overnight", 24),
    ("during the night", 24),
    ("since this morning", 12),
    ("this morning", 12),
    ("since midnight", 24),
    ("this week", 168),
    ("this week", 168),
    ("in the last week", 168),
    ("over the last week", 168),
    ("last week", 168),
    ("in the past week", 168),
    ("since last week", 168),
    ("during the last seven days", 168),
    ("over the weekend", 72),
    ("since the weekend", 72),
    ("this month", 720),
    ("in the last month", 720),
    ("over the past month", 720),
    ("since last month", 720),
    ("in the last hour", 1),
    ("within the last hour", 1),
    ("over the past hour", 1),
    ("during the last hour", 1),
    ("the last hour", 1),
    ("in the past day", 24),
    ("over the last day", 24),
    ("in the last day", 24),
    ("the past day", 24),
    ("the whole day", 24),
    ("all day", 24),
    ("in the last couple of hours", 2),
    ("in the last two weeks", 336),
    ("in the last fortnight", 336),
    ("seit gestern", 24),
    ("heute", 24),
    ("diese Woche", 168),
)
_LEADS = ("in the last", "over the last", "in the past", "over the past", "during the last",
          "within the last", "for the last", "last", "past", "the last", "the past")  # fmt: skip


def number(rng: random.Random, value: int, *, spelled: float = 0.2) -> str:
    """Digits, or sometimes the word."""
    if value in _WORDS and rng.random() < spelled:
        return _WORDS[value]
    return str(value)


def hours(rng: random.Random) -> tuple[str, int]:
    """A span in words, and its length in hours."""
    roll = rng.random()
    if roll < 0.45:
        return _FIXED[int(rng.random() * len(_FIXED))]
    lead = _LEADS[int(rng.random() * len(_LEADS))]
    if roll < 0.8:
        value = rng.choice((2, 3, 4, 5, 6, 8, 10, 12, 18, 24, 36, 48, 72, 96, rng.randint(2, 200)))
        unit = "hours" if rng.random() < 0.85 else "h"
        return f"{lead} {number(rng, value)} {unit}", value
    if roll < 0.95:
        days = rng.choice((2, 3, 4, 5, 7, 10, 14, 30, rng.randint(2, 30)))
        return f"{lead} {number(rng, days)} days", days * 24
    weeks = rng.randint(2, 4)
    return f"{lead} {number(rng, weeks)} weeks", weeks * 168


def lines(rng: random.Random) -> tuple[str, int]:
    """How many lines: 1 to 200."""
    value = rng.choice((3, 5, 10, 15, 20, 25, 40, 50, 60, 80, 100, 150, 200, rng.randint(1, 200)))
    return number(rng, value, spelled=0.12), value

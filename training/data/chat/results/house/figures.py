"""Figures and lists as daemon/tools/words.py writes them."""

from __future__ import annotations

import random

from training.data.chat.results.outcome import Outcome, Segment

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size(rng: random.Random, low: int = 1, high: int = 3) -> str:
    step = rng.randint(low, high)
    value = rng.random() * rng.choice((10.0, 100.0, 1023.0))
    return f"{value:.1f} {_UNITS[step]}" if step >= 2 else f"{value:.0f} {_UNITS[step]}"


def duration(rng: random.Random) -> str:
    first, second = rng.randint(1, 59), rng.randint(1, 59)
    return rng.choice(
        (
            f"{rng.randint(1, 900)} d {rng.randint(1, 23)} h",
            f"{rng.randint(1, 23)} h {second} min",
            f"{first} min {second} s",
            f"{first} min",
            f"{first} s",
            f"{rng.randint(1, 300)} d",
        )
    )


def date(rng: random.Random) -> str:
    return f"{rng.randint(2024, 2029)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def time_of_day(rng: random.Random) -> str:
    return f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}"


def clock(rng: random.Random) -> str:
    return f"{date(rng)} {rng.randint(0, 23):02d}:{rng.randint(0, 59):02d} UTC"


def systemd_time(rng: random.Random) -> str:
    zone = rng.choice(("UTC", "UTC", "CET", "CEST", "EST", "PDT"))
    return f"{rng.choice(_DAYS)} {date(rng)} {time_of_day(rng)} {zone}"


def skewed(rng: random.Random, high: int) -> int:
    return int(high * rng.random() ** 3)


def many(rng: random.Random, most: int) -> int:
    """How many entries: mostly few, sometimes as many as are shown."""
    return rng.choice((1, 1, 2, 2, 3, 3, 4, 5, rng.randint(1, most)))


def listed(
    rng: random.Random, parts: list[Segment], *, lead: str = "", of: str = "more", tail: str = ""
) -> Outcome:
    """Joined with semicolons; what is over the limit is counted."""
    if len(parts) > 2 and rng.random() < 0.15:
        parts = [*parts, Segment(f"and {rng.randint(1, 40)} {of}")]
    if tail:
        parts[-1] = Segment(f"{parts[-1].text}. {tail}", parts[-1].key)
    return Outcome(segments=tuple(parts), lead=lead, joint="; ")


def plural(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"

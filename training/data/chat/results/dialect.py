"""How one result writes figures: units, precision, order, separators. Drawn once per result."""

from __future__ import annotations

import random
from collections.abc import Sequence

from training.data.chat import lexicon

_SIZE_UNITS = (
    ("B", "KB", "MB", "GB", "TB"),
    ("B", "KB", "MB", "GB", "TB"),
    ("B", "kB", "MB", "GB", "TB"),
    ("B", "KiB", "MiB", "GiB", "TiB"),
    ("B", "KiB", "MiB", "GiB", "TiB"),
    ("bytes", "kilobytes", "megabytes", "gigabytes", "terabytes"),
    ("B", "K", "M", "G", "T"),
)
_SYNONYMS: dict[str, tuple[str, ...]] = {
    "used": ("used", "used", "used", "in use", "taken", "occupied"),
    "free": ("free", "free", "free", "available", "left", "avail"),
    "available": ("available", "available", "available", "free", "usable"),
    "total": ("total", "total", "in total", "size", "capacity", "installed"),
    "cached": ("cached", "cached", "cache", "in cache", "buff/cache", "page cache"),
    "restarts": ("restarts", "restarts", "restarted", "restart count", "automatic restarts"),
    "threads": ("threads", "threads", "thread count"),
    "errors": ("errors", "errors", "packet errors", "err"),
    "average": ("average", "average", "avg", "mean"),
    "minimum": ("minimum", "min", "lowest", "min"),
    "maximum": ("maximum", "max", "peak", "highest"),
    "latest": ("latest", "now", "current", "last value", "most recent"),
    "received": ("received", "received", "rx", "in", "RX"),
    "sent": ("sent", "sent", "tx", "out", "TX"),
}
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


class Dialect:
    """The habits of one writer."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self._units = _SIZE_UNITS[int(rng.random() * len(_SIZE_UNITS))]
        self._gap = "" if self._units[1] == "K" or rng.random() < 0.12 else " "
        self._digits = rng.choice((0, 1, 1, 1, 1, 2))
        self._percent = rng.choice(("%", "%", "%", "%", " %", " percent"))
        self._percent_digits = rng.choice((0, 0, 0, 1, 1, 2))
        self._fields = rng.choice((0, 0, 0, 0, 1, 1, 2, 2, 3))
        self._clock = rng.choice((0, 0, 1, 2, 3, 4, 5))
        self.comma = rng.choice((", ", ", ", ", ", ", ", "; ", " / ", ", "))
        self.joint = rng.choice(("; ", "; ", "; ", ". ", " | ", ", ", " -- "))
        self._grouped = rng.random() < 0.2
        self._shuffles = rng.random() < 0.45

    def one(self, *choices: str) -> str:
        return choices[int(self.rng.random() * len(choices))]

    def number(self, low: int, high: int) -> str:
        """A count, evenly over magnitudes."""
        span = self.rng.random() ** 2
        value = low + int((high - low) * span)
        return f"{value:,}" if self._grouped else str(value)

    def figure(self, high: float, digits: int = 2) -> str:
        return f"{self.rng.random() * high:.{digits}f}"

    def size(self, low: int = 1, high: int = 3) -> str:
        """An amount of memory or storage; `low` and `high` are powers of 1,000 (3 is giga)."""
        step = self.rng.randint(low, high)
        value = self.rng.random() * self.rng.choice((10.0, 100.0, 1000.0))
        digits = self._digits if step else 0
        return f"{value:.{digits}f}{self._gap}{self._units[step]}"

    def percent(self, high: float = 100.0) -> str:
        return f"{self.rng.random() * high:.{self._percent_digits}f}{self._percent}"

    def duration(self) -> str:
        rng = self.rng
        days, hours, minutes = rng.randint(1, 400), rng.randint(1, 23), rng.randint(1, 59)
        return self.one(
            f"{days} days",
            f"{days} days {hours} hours",
            f"{days} d {hours} h",
            f"{days}d {hours}h {minutes}m",
            f"{hours} hours",
            f"{hours} h {minutes} min",
            f"{hours}:{minutes:02d}",
            f"{minutes} minutes",
            f"{minutes} min",
            f"{rng.randint(1, 59)} seconds",
            f"{rng.randint(1, 300)} s",
        )

    def moment(self) -> str:
        rng = self.rng
        month, day, year = rng.randint(1, 12), rng.randint(1, 28), rng.randint(2023, 2029)
        clock = f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"
        seconds = f"{rng.randint(0, 59):02d}"
        date = f"{year}-{month:02d}-{day:02d}"
        return (
            f"{date} {clock}",
            f"{date} {clock}:{seconds}",
            f"{date}T{clock}:{seconds}Z",
            f"{_MONTHS[month - 1]} {day} {clock}",
            f"{_DAYS[day % 7]} {date} {clock} UTC",
            f"{day} {_MONTHS[month - 1]} {clock}:{seconds}",
        )[self._clock]

    def ago(self) -> str:
        """When something was, absolute or relative."""
        return self.moment() if self.rng.random() < 0.6 else f"{self.duration()} ago"

    def fields(self, pairs: Sequence[tuple[str, str]]) -> str:
        """Named figures in this dialect's form and, for some, in another order. Sometimes a field
        that nobody knows is among them."""
        chosen = list(pairs)
        if self.rng.random() < 0.06:
            chosen.append((lexicon.word(self.rng), self.one(self.size(), self.number(0, 900))))
        if self._shuffles:
            self.rng.shuffle(chosen)
        return self.comma.join(self._field(name, value) for name, value in chosen)

    def _field(self, name: str, value: str) -> str:
        names = _SYNONYMS.get(name)
        if names is not None:
            name = names[int(self.rng.random() * len(names))]
        if self._fields == 0:
            return f"{value} {name}"
        if self._fields == 1:
            return f"{name} {value}"
        return f"{name}: {value}" if self._fields == 2 else f"{name}={value}"

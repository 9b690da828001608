"""Figures in words: the same way in every tool's summary."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size(count: float) -> str:
    """Bytes in the units that `df -h` and `free -h` count in: "45.2 GiB", "812 KiB"."""
    value = float(count)
    unit = 0
    while abs(value) >= 1024 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    return f"{value:.1f} {_UNITS[unit]}" if unit >= 2 else f"{value:.0f} {_UNITS[unit]}"


def duration(seconds: float) -> str:
    """The two largest parts: "3 d 4 h", "12 min", "45 s"."""
    seconds = max(0, int(seconds))
    parts = []
    for length, name in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if seconds >= length:
            parts.append(f"{seconds // length} {name}")
            seconds %= length
        if len(parts) == 2:
            break
    return " ".join(parts) or "0 s"


def clock(timestamp: float) -> str:
    """Unix time as "2026-03-01 14:05 UTC"; "an unknown time" for what no calendar has."""
    try:
        moment = datetime.fromtimestamp(timestamp, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return "an unknown time"
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def listed(items: list[str], *, most: int, of: str = "more") -> str:
    """Joined with semicolons; what is over `most` is counted: "a; b; and 3 more"."""
    shown = items[:most]
    rest = len(items) - len(shown)
    return "; ".join([*shown, f"and {rest} {of}"] if rest else shown)


def printable(text: str) -> str:
    """`text` without control and invisible characters other than tab and line feed: they could
    drive a terminal, hide words, or not be encoded at all. Odd white space becomes a blank, the
    rest U+FFFD."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in "\t\n" else " " if c.isspace() else "\ufffd" for c in text
    )


def one_line(text: str) -> str:
    """`printable`, with runs of white space as one blank."""
    return " ".join(printable(text).split())


def newest(lines: list[str], *, most: int, chars: int = 1_600) -> str:
    """The last lines that fit, oldest first, joined with bars. Long ones are cut to 400 characters:
    the newest must not be what falls away."""
    shown: list[str] = []
    for line in reversed(lines[-most:]):
        short = line if len(line) <= 400 else line[:400] + "..."
        chars -= len(short) + 3
        if chars < 0 and shown:
            break
        shown.append(short)
    return " | ".join(reversed(shown))

"""The sentences that code puts at the end of an answer, and how they are taken off again: what the
frontend sends back as the assistant's words must not teach the model to write them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_UNSUPPORTED = "Not backed by any look-up of this chat: "
_EARLIER = "From earlier look-ups: "
CORRECTION = "Correction: "
_MOST_SHOWN = 12
_MOST_CHARS = 60

_CLOSING = re.compile(
    rf"(?:\s*\n\n(?:{re.escape(_UNSUPPORTED)}|{re.escape(_EARLIER)}|{re.escape(CORRECTION)})"
    r"[^\n]*)+\s*\Z"
)


def unsupported_line(figures: Sequence[str]) -> str:
    """Names the figures that nothing supports."""
    shown = [figure[:_MOST_CHARS].replace("`", "'") for figure in figures[:_MOST_SHOWN]]
    more = len(figures) - len(shown)
    end = f" and {more} more" if more > 0 else ""
    return f"{_UNSUPPORTED}{', '.join(f'`{figure}`' for figure in shown)}{end}."


def earlier_line(ages: Mapping[str, str]) -> str:
    """`ages` says how long ago each tool was called."""
    return _EARLIER + ", ".join(f"{name} ({age})" for name, age in ages.items()) + "."


def without_closing(text: str) -> str:
    """An answer as the model wrote it."""
    return _CLOSING.sub("", text)


def age_words(seconds: float) -> str:
    """How long ago, as people say it."""
    for unit, length in (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"

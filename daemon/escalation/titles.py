"""What an incident is called. Pure."""

from __future__ import annotations

_MAX = 140


def title_of(*, unit: str, text: str, rule: str | None = None) -> str:
    """The unit, what the rule calls it, and the beginning of the text that opened the incident,
    on one line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if rule is not None:
        line = f"{rule.replace('-', ' ')}: {line}"
    title = f"{unit}: {line}" if unit and not line.startswith(unit) else line
    return title if len(title) <= _MAX else title[: _MAX - 1].rstrip() + "…"

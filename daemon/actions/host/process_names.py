"""What a process calls itself, in words of ours. Pure."""

from __future__ import annotations

import re

_STRANGE = re.compile(r"[^\w.:/@+-]")
_MOST = 32


def named_harmlessly(name: str) -> str:
    """The name without spaces and signs: anybody chooses it, and it stands among our own words,
    for models and for people."""
    return _STRANGE.sub("_", name)[:_MOST] or "_"

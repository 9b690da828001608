"""What a question wants beside an answer: something changed, or a fresh look. Pure."""

from __future__ import annotations

import re

_CHANGES = re.compile(
    r"^\W*(?:please\s+|can you\s+|could you\s+|go\s+|now\s+)*"
    r"(?:(?:re)?start(?!\s+(?:counts?|times?|reason)\b)|re(?:boot|load)|stop|kill|delete|remove|(?:un)?install|upgrade|update|disable"
    r"|enable|(?:un)?mask|umount|unmount|format|chmod|chown|shut\s?down|set|change|edit|write"
    r"|create|move|rename|add|drop|purge|wipe|erase|free up|clean)\b",
    re.IGNORECASE,
)
_GERMAN_CHANGES = re.compile(
    r"^\W*(?:bitte\s+|kannst du\s+|jetzt\s+)*(?:starte|stoppe|beende|lösche?|entferne|installiere"
    r"|aktualisiere|deaktiviere|aktiviere|ändere|lade|räume)\b",
    re.IGNORECASE,
)
_AGAIN = re.compile(
    r"\b(?:again|once more|(?:right|just|as of|by|and) now|currently|at the moment|still"
    r"|refresh(?:ed)?|re-?check|check again|latest|up to date|meanwhile|since then|changed|yet"
    r"|noch ?mal|noch einmal|erneut|aktuell|jetzt|inzwischen|immer noch|mittlerweile)\b"
    r"|^\W*now\b|\bnow\W*$",
    re.IGNORECASE,
)


def wants_change(question: str) -> bool:
    """Whether it is a wish to change something on the host."""
    return bool(_CHANGES.search(question))


def wanted_change(question: str) -> bool:
    """The same, read more widely: for judging an answer, not for choosing tools."""
    return wants_change(question) or bool(_GERMAN_CHANGES.search(question))


def wants_fresh(question: str) -> bool:
    """Whether what was looked up earlier is not good enough."""
    return bool(_AGAIN.search(question))

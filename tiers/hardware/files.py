"""Small reads of `/proc` and `/sys`: what is not there is None."""

from __future__ import annotations

from pathlib import Path


def text_at(path: Path) -> str | None:
    """The stripped text of a file; None where there is none or it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def number_at(path: Path) -> int | None:
    """The whole number in a file; None where there is none."""
    return number_in(text_at(path))


def number_in(text: str | None) -> int | None:
    """A whole number; None for anything else ("max")."""
    try:
        return int(text or "")
    except ValueError:
        return None


def in_list(text: str) -> set[int]:
    """The members of a kernel list: "0-3,8" is 0, 1, 2, 3 and 8."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if first.isdigit():
            found.update(range(int(first), int(last if last.isdigit() else first) + 1))
    return found

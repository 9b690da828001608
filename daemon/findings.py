"""What the doctor tells: what was looked at, how it is, and what to do."""

from __future__ import annotations

import dataclasses
import enum


class Level(enum.StrEnum):
    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was looked at, how it is, and what to do."""

    what: str
    level: Level
    words: str

    def to_json(self) -> dict[str, str]:
        return {"what": self.what, "level": self.level.value, "words": self.words}


def ok(what: str, words: str) -> Finding:
    return Finding(what=what, level=Level.OK, words=words)


def note(what: str, words: str) -> Finding:
    return Finding(what=what, level=Level.NOTE, words=words)


def warning(what: str, words: str) -> Finding:
    return Finding(what=what, level=Level.WARNING, words=words)


def problem(what: str, words: str) -> Finding:
    return Finding(what=what, level=Level.PROBLEM, words=words)

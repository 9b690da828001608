"""Which incident is the cause of which. Pure.

Only what can be read from the evidence counts: a process that the kernel killed by name, a full or
broken filesystem that others complain about, a unit that another depends on.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from tiers.vocabulary import Category

WINDOW = timedelta(minutes=10)
"""A cause is at most this much older or younger than what follows from it."""

_COMPLAINT = re.compile(
    r"(?i)no space left|read-only file ?system|input/output error|i/o error|disk (is )?full"
)
_DEPENDENCY = re.compile(r"(?i)dependency failed")
_KILLED = re.compile(
    r"(?i)process \d+ \(([^)]{1,64})\)|\btask=([^,\s]{1,64})|task_memcg=\S{0,200}/([^/,\s]{1,64})"
)
"""Whom the kernel killed, by the forms in which it says so."""
_WORD = re.compile(r"[a-z][a-z0-9]{3,}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kin:
    """What is needed of an incident. `text` is its first evidence."""

    incident_id: int
    category: Category
    unit: str
    correlation: str
    text: str
    opened_at: datetime
    parent_id: int | None = None


def cause_of(child: Kin, live: Sequence[Kin]) -> int | None:
    """The incident that explains `child`, or None. Never itself, never its own child."""
    for candidate in live:
        if candidate.incident_id == child.incident_id or candidate.parent_id == child.incident_id:
            continue
        if abs(candidate.opened_at - child.opened_at) > WINDOW:
            continue
        if _explains(candidate, child):
            return candidate.incident_id
    return None


def _explains(parent: Kin, child: Kin) -> bool:
    if parent.category is Category.MEMORY and child.category is not Category.MEMORY:
        return _names(parent.text, child)
    if parent.category is Category.STORAGE and child.category is not Category.STORAGE:
        return _COMPLAINT.search(child.text) is not None
    if _DEPENDENCY.search(child.text) is not None:
        return parent.correlation.startswith("unit:") and not _DEPENDENCY.search(parent.text)
    return False


def _names(text: str, child: Kin) -> bool:
    """Whether a text says that the unit of `child` was killed: "postgres" names "postgresql"."""
    about = child.correlation.removeprefix("unit:") if child.unit in ("", "systemd") else child.unit
    stem = about.lower().split(".")[0].split("@")[0]
    if len(stem) < 4:
        return False
    killed = " ".join(name for match in _KILLED.findall(text) for name in match).lower()
    return any(word.startswith(stem) or stem.startswith(word) for word in _WORD.findall(killed))

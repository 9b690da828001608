"""Records as the tools read them, set by tests."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from api.ports import EventFilter, EventView, IncidentFilter, IncidentView
from tiers.vocabulary import Category, Severity

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@dataclasses.dataclass(frozen=True)
class Pattern:
    pattern: str
    unit: str = "sshd"
    count: int = 250
    last_seen: datetime = AT


@dataclasses.dataclass(frozen=True)
class Series:
    target: str
    least: float
    mean: float
    most: float
    latest: float
    first: float
    samples: int


class Records:
    """Both of the protocols that the tools read records by."""

    def __init__(self) -> None:
        self.incidents: list[IncidentView] = []
        self.patterns: list[Pattern] = []
        self.events: list[EventView] = []
        self.series: list[Series] = []
        self.wanted: Any = None

    async def find_incidents(self, wanted: IncidentFilter) -> Sequence[IncidentView]:
        self.wanted = wanted
        return self.incidents

    async def find_events(self, wanted: EventFilter) -> Sequence[EventView]:
        return self.events

    async def find_patterns(self, *, text: str, since: datetime, limit: int) -> Sequence[Pattern]:
        self.wanted = since
        return self.patterns

    async def history(self, *, name: str, hours: float) -> Sequence[Series]:
        self.wanted = (name, hours)
        return self.series


def incident(title: str) -> IncidentView:
    return IncidentView(
        id=7, state="open", severity=Severity.WARNING, category=Category.AUTH, title=title, unit="",
        opened_at=AT, updated_at=AT, last_event_at=AT, closed_at=None, close_reason=None,
        reopened=0, event_count=3, assessed=True, cause="brute_force", parent_id=None,
    )  # fmt: skip


def run(*argv: str) -> str:
    """What one of the host's own programs prints."""
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def kernel_memory() -> dict[str, int]:
    """/proc/meminfo in bytes."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}


_NAMED = """
import ctypes, sys, time
ctypes.CDLL(None).prctl(15, bytes.fromhex(sys.argv[1]), 0, 0, 0)
print("ready", flush=True)
time.sleep(30)
"""


@contextlib.contextmanager
def process_named(name: bytes) -> Iterator[int]:
    """A process with this name; yields its pid."""
    child = subprocess.Popen([sys.executable, "-c", _NAMED, name.hex()], stdout=subprocess.PIPE)
    with child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            yield child.pid
        finally:
            child.kill()

"""What changed lately: packages and boots."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import time
from datetime import datetime
from pathlib import Path

import psutil

from daemon.tools.words import clock, listed
from tiers.contracts import ToolResult
from tiers.vocabulary import Provenance

_TAIL_BYTES = 512 * 1024
_DPKG = re.compile(
    r"^(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?P<what>install|upgrade|remove|purge) "
    r"(?P<name>[^\s:]+)\S* (?P<old>\S+) (?P<new>\S+)"
)
_DNF = re.compile(
    r"^(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*) \S+ "
    r"(?P<what>Installed|Upgrade|Upgraded|Removed|Erased): (?P<name>\S+)"
)
_PACMAN = re.compile(
    r"^\[(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*)\] \[ALPM\] (?P<what>installed|upgraded|removed) "
    r"(?P<name>\S+) \((?P<version>[^)]*)\)"
)
_LOGS = (
    (Path("/var/log/dpkg.log"), _DPKG),
    (Path("/var/log/dpkg.log.1"), _DPKG),
    (Path("/var/log/dnf.rpm.log"), _DNF),
    (Path("/var/log/pacman.log"), _PACMAN),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of a package. `at` is Unix time."""

    at: float
    what: str
    name: str
    version: str


async def recent_changes(*, hours: int = 24) -> ToolResult:
    """Packages that were installed, upgraded or removed, and the last boot."""
    now = time.time()
    changes = await asyncio.to_thread(_packages, now - hours * 3600)
    boot = psutil.boot_time()
    booted = f"last boot {clock(boot)}"
    words = [
        f"{change.what} {change.name} {change.version}".rstrip() + f" at {clock(change.at)}"
        for change in changes
    ]
    count = len(changes)
    if count:
        summary = (
            f"{count} package changes in the last {hours} h; {booted}; newest: "
            f"{listed(words, most=6)}."
        )
    else:
        summary = f"0 package changes in the last {hours} h; {booted}."
    data = {"boot": boot, "packages": [dataclasses.asdict(change) for change in changes[:200]]}
    return ToolResult(ok=True, summary=summary, data=data, provenance=Provenance.TEXT)


def _packages(since: float) -> list[Change]:
    """Newest first, from whichever package logs this host has."""
    found = []
    for path, form in _LOGS:
        for line in _tail(path):
            match = form.match(line)
            if match is None:
                continue
            at = _timestamp(match["at"])
            if at is not None and at >= since:
                groups = match.groupdict()
                version = groups.get("new") or groups.get("version") or ""
                what = match["what"].lower()
                found.append(Change(at=at, what=what, name=match["name"], version=version))
    return sorted(found, key=lambda change: -change.at)


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _timestamp(text: str) -> float | None:
    """Package logs without an offset are in local time."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None

"""Limits that cgroups set on this process: processor time and memory.

Both versions, and all levels: the smallest limit on the way up counts, because each level holds.
Inside a container the path in `/proc/self/cgroup` is often not there; the mounted root is then
the container's own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

from tiers.hardware.files import number_at, number_in, text_at

_NO_LIMIT = 1 << 60
"""Version 1 writes a huge number for "none"."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`threads` of processor time, `memory` in bytes; None without a limit."""

    threads: float | None = None
    memory: int | None = None
    memory_used: int | None = None


def read_limits(root: Path = Path("/")) -> Limits:
    """The limits that hold for this process."""
    threads: float | None = None
    memory: int | None = None
    used: int | None = None
    for folder in _folders(root, "cpu"):
        found = _threads(folder)
        if found is not None and (threads is None or found < threads):
            threads = found
    for folder in _folders(root, "memory"):
        limit, taken = _memory(folder)
        if limit is not None and (memory is None or limit < memory):
            memory, used = limit, taken
    return Limits(threads=threads, memory=memory, memory_used=used)


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """The folders of this process's cgroup and of all above it, for both versions."""
    mounted = root / "sys/fs/cgroup"
    for line in (text_at(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and controller not in controllers.split(","):
            continue
        base = mounted if not controllers else mounted / controller
        inside = [part for part in path.split("/") if part and part != ".."]
        for depth in range(len(inside), -1, -1):
            yield base.joinpath(*inside[:depth])


def _threads(folder: Path) -> float | None:
    both = (text_at(folder / "cpu.max") or "").split()
    if len(both) == 2:
        quota, period = number_in(both[0]), number_in(both[1])
    else:
        quota = number_at(folder / "cpu.cfs_quota_us")
        period = number_at(folder / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 and period > 0 else None


def _memory(folder: Path) -> tuple[int | None, int | None]:
    limit = number_at(folder / "memory.max")
    used = number_at(folder / "memory.current")
    if limit is None:
        limit = number_at(folder / "memory.limit_in_bytes")
        used = number_at(folder / "memory.usage_in_bytes")
    if limit is None or limit >= _NO_LIMIT:
        return None, None
    # What is only cached from files is given back on demand.
    given_back = _inactive_files(folder)
    return limit, max(0, used - given_back) if used is not None else None


def _inactive_files(folder: Path) -> int:
    for line in (text_at(folder / "memory.stat") or "").splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file"):
            return number_in(value) or 0
    return 0

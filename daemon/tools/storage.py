"""Filesystems and folders: space, inodes, what takes it."""

from __future__ import annotations

import dataclasses
import os
import stat
import time
from pathlib import Path

import psutil

from daemon.tools.blocking import apart
from daemon.tools.toolbox import ToolError
from daemon.tools.words import listed, size
from tiers.contracts import ToolResult

_WALK_SECONDS = 6.0
_WALK_ENTRIES = 400_000
_READ_ONLY_IMAGES = {"squashfs", "iso9660", "erofs", "cramfs"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A mounted filesystem; sizes in bytes. `free` is what an ordinary user may still write."""

    path: str
    kind: str
    device: str
    total: int
    used: int
    free: int
    inodes: int
    inodes_free: int

    @property
    def percent(self) -> float:
        """Used share of what ordinary users can have, as df shows it."""
        usable = self.used + self.free
        return 100.0 * self.used / usable if usable else 0.0

    @property
    def inode_percent(self) -> float:
        return 100.0 * (self.inodes - self.inodes_free) / self.inodes if self.inodes else 0.0


async def disk_usage(*, path: str | None = None) -> ToolResult:
    """Space of all filesystems, or of the one that holds `path`."""
    mounts = await _mounts(path)
    lines = [
        f"{m.path} ({m.kind}): {size(m.used)} of {size(m.total)} used ({m.percent:.0f}%), "
        f"{size(m.free)} free"
        for m in mounts
    ]
    return ToolResult(
        ok=True,
        summary=listed(lines, most=8, of="more filesystems") + ".",
        data={"filesystems": [dataclasses.asdict(m) for m in mounts]},
    )


async def inode_usage(*, path: str | None = None) -> ToolResult:
    """Inodes of all filesystems, or of the one that holds `path`."""
    mounts = [m for m in await _mounts(path) if m.inodes]
    if not mounts:
        return ToolResult(ok=True, summary="The filesystem has no fixed number of inodes.")
    lines = [
        f"{m.path}: {m.inodes - m.inodes_free} of {m.inodes} inodes used "
        f"({m.inode_percent:.0f}%), {m.inodes_free} free"
        for m in mounts
    ]
    return ToolResult(
        ok=True,
        summary=listed(lines, most=8, of="more filesystems") + ".",
        data={"filesystems": [dataclasses.asdict(m) for m in mounts]},
    )


async def directory_sizes(*, path: str) -> ToolResult:
    """The largest entries directly below a folder, on one filesystem, within a time limit."""
    folder = Path(path)
    if not folder.is_absolute():
        raise ToolError(f"{path} is not an absolute path; write it from / on.")
    sizes, complete = await apart(lambda: _measure(folder))
    ranked = sorted(sizes.items(), key=lambda item: -item[1])
    total = sum(sizes.values())
    lines = [f"{name} {size(count)}" for name, count in ranked]
    note = "" if complete else " Not everything could be measured; these are least values."
    summary = f"{path} holds {size(total)}. Largest: {listed(lines, most=6, of='smaller')}.{note}"
    if not ranked:
        summary = f"{path} is empty or cannot be read."
    data = {"path": path, "total": total, "complete": complete, "largest": dict(ranked[:50])}
    return ToolResult(ok=True, summary=summary, data=data)


async def _mounts(path: str | None) -> list[Mount]:
    if path is not None and not Path(path).is_absolute():
        path = "/" + path
    return await apart(lambda: _read_mounts(path))


def _read_mounts(path: str | None) -> list[Mount]:
    parts = {p.mountpoint: p for p in psutil.disk_partitions(all=True)}
    if path is not None:
        if not Path(path).exists():
            raise ToolError(f"{path} does not exist on this host.")
        holder = Path(path).resolve()
        while str(holder) not in parts and holder != holder.parent:
            holder = holder.parent
        wanted = [str(holder)]
    else:
        wanted = sorted(
            p.mountpoint
            for p in psutil.disk_partitions(all=False)
            if p.fstype not in _READ_ONLY_IMAGES
        )
        if "/" not in wanted:
            wanted.insert(0, "/")
    found: list[Mount] = []
    devices: set[str] = set()
    for mountpoint in wanted:
        part = parts.get(mountpoint)
        device = part.device if part else ""
        if path is None and device in devices:
            continue  # a bind mount of what was shown
        devices.add(device)
        try:
            stats = os.statvfs(mountpoint)
        except OSError:
            continue
        found.append(
            Mount(
                path=mountpoint,
                kind=part.fstype if part else "unknown",
                device=device,
                total=stats.f_blocks * stats.f_frsize,
                used=(stats.f_blocks - stats.f_bfree) * stats.f_frsize,
                free=stats.f_bavail * stats.f_frsize,
                inodes=stats.f_files,
                inodes_free=stats.f_favail,
            )
        )
    if not found:
        raise ToolError("No filesystem could be measured.")
    return found


class _Budget:
    """What one walk may cost: entries, and time."""

    def __init__(self) -> None:
        self._entries = _WALK_ENTRIES
        self._deadline = time.monotonic() + _WALK_SECONDS
        self.complete = True

    def spend(self) -> bool:
        """Whether one more entry may be looked at."""
        self._entries -= 1
        if self._entries < 0:
            self.complete = False
        return self._entries >= 0 and not self.late()

    def late(self) -> bool:
        """Whether the time is over."""
        over = time.monotonic() > self._deadline
        if over:
            self.complete = False
        return over


def _measure(folder: Path) -> tuple[dict[str, int], bool]:
    """Allocated bytes per entry of `folder`, never leaving its filesystem, and whether all was
    counted. Files with several links count once."""
    if not folder.is_dir():
        raise ToolError(f"{folder} is not a folder on this host.")
    device = folder.stat().st_dev
    budget = _Budget()
    counted: set[int] = set()
    sizes: dict[str, int] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                sizes[entry.path] = _tree(entry.path, device, counted, budget)
                if not budget.spend():
                    break
    except OSError as error:
        raise ToolError(f"{folder} cannot be read: {error.strerror}.") from error
    return sizes, budget.complete


def _tree(path: str, device: int, counted: set[int], budget: _Budget) -> int:
    """Allocated bytes of what is at `path` and below; what cannot be read makes it incomplete."""
    total = 0
    pending = [path]
    while pending:
        if budget.late():
            return total
        here = pending.pop()
        try:
            info = os.lstat(here)
            if info.st_dev != device or info.st_ino in counted:
                continue
            if info.st_nlink > 1 and not stat.S_ISDIR(info.st_mode):
                counted.add(info.st_ino)
            total += info.st_blocks * 512
            if stat.S_ISDIR(info.st_mode):
                with os.scandir(here) as below:
                    for entry in below:
                        if not budget.spend():
                            return total
                        pending.append(entry.path)
        except FileNotFoundError:
            continue  # gone meanwhile
        except OSError:
            budget.complete = False
    return total

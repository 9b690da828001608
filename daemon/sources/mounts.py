"""Mounted file systems and how full they are, without ever hanging on a dead network share."""

from __future__ import annotations

import asyncio
import dataclasses
import fnmatch
import functools
import os
import re
from collections.abc import Iterable
from pathlib import Path

from daemon.sources.threads import OneThread

_MOST_MOUNTS = 128
_LONGEST_TARGET = 1_000
"""Bytes of a mount point. It becomes part of keys, which have to fit into an index."""
_MEMORY_MOUNTS = frozenset(("/tmp", "/run", "/dev/shm"))  # noqa: S108 -- read, not written
_NO_SPACE_OF_THEIR_OWN = frozenset(
    """
    autofs bdev binfmt_misc bpf cgroup cgroup2 configfs cpuset debugfs devpts devtmpfs
    efivarfs fuse.gvfsd-fuse fuse.lxcfs fuse.portal fusectl hugetlbfs mqueue nsfs
    overlay pipefs proc pstore ramfs resctrl rootfs rpc_pipefs securityfs selinuxfs
    sockfs sysfs tmpfs tracefs
    """.split()  # noqa: SIM905 -- thirty quoted names read worse
)
_IMAGES = frozenset(("cramfs", "erofs", "iso9660", "squashfs", "udf"))
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclasses.dataclass(frozen=True, slots=True)
class Mount:
    """One file system at the place where it is seen. `device` is "major:minor"."""

    target: str
    fstype: str
    source: str
    device: str


@dataclasses.dataclass(frozen=True, slots=True)
class Space:
    """How full a mount is: percentages as `df` shows them (of what a user may use), free bytes.
    `inodes` is None where the file system has no fixed number."""

    used: float
    free_bytes: int
    inodes: float | None


def parse_mounts(mountinfo: str, exclude: Iterable[str]) -> list[Mount]:
    """The mounts worth measuring from /proc/self/mountinfo (see proc(5)), one per file system."""
    patterns = tuple(exclude)
    best: dict[str, tuple[tuple[bool, int], Mount]] = {}
    for line in mountinfo.splitlines():
        fields, separator, rest = line.partition(" - ")
        head, tail = fields.split(" "), rest.split(" ")
        if not separator or len(head) < 6 or len(tail) < 2:
            continue
        device, root, target = head[2], head[3], _plain(head[4])
        fstype, source = tail[0], _plain(tail[1])
        # The file system's own options, not the mount's: a service that systemd lets write nowhere
        # (ProtectSystem=strict) sees everything mounted read-only.
        options = tail[2].split(",") if len(tail) > 2 else []
        if "ro" in options or fstype in _IMAGES or _is_pseudo(fstype, target):
            continue
        if len(target.encode()) > _LONGEST_TARGET:
            continue
        if any(fnmatch.fnmatchcase(target, pattern) for pattern in patterns):
            continue
        # Subvolumes of one btrfs have device numbers of their own but share the space.
        key = source if fstype == "btrfs" else device
        rank = (root != "/", len(target))
        if key not in best or rank < best[key][0]:
            best[key] = (rank, Mount(target, fstype, source, device))
    return sorted((mount for _, mount in best.values()), key=lambda m: m.target)[:_MOST_MOUNTS]


def _is_pseudo(fstype: str, target: str) -> bool:
    if fstype == "tmpfs":
        return target not in _MEMORY_MOUNTS
    if fstype == "overlay":
        return target != "/"  # a container's own root counts, the layers on its host do not
    return fstype in _NO_SPACE_OF_THEIR_OWN


def _plain(field: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match.group(1), 8)), field)


def space_of(target: str) -> Space | None:
    """Blocks until the file system answers. None where it has no size (pseudo after all)."""
    status = os.statvfs(target)
    usable = status.f_blocks - status.f_bfree + status.f_bavail
    if usable <= 0:
        return None
    used = 100.0 * (status.f_blocks - status.f_bfree) / usable
    inodes = None
    if status.f_files > 0 and status.f_ffree <= status.f_files:
        inodes = 100.0 * (status.f_files - status.f_ffree) / status.f_files
    return Space(used, status.f_bavail * status.f_frsize, inodes)


class MountProbe:
    """Asks all mounts at once, each on a thread of its own. A mount that has not answered the last
    question is not asked another: threads do not pile up behind a dead server."""

    def __init__(
        self,
        *,
        exclude: Iterable[str],
        timeout: float,
        mountinfo: Path = Path("/proc/self/mountinfo"),
    ) -> None:
        self._exclude = tuple(exclude)
        self._timeout = timeout
        self._mountinfo = mountinfo
        self._threads: dict[str, OneThread] = {}
        self._asked: dict[str, asyncio.Task[Space | None]] = {}
        self._reader = OneThread(name="mounts")

    async def measure(self) -> dict[str, Space | None]:
        """By mount point; None for one that did not answer in time."""
        # Any user may mount something of his own under any name: what is no text is not measured.
        read = functools.partial(self._mountinfo.read_text, "utf-8", "replace")
        text = await self._reader.call(read)
        mounts = parse_mounts(text, self._exclude)
        targets = {mount.target for mount in mounts}
        for gone in set(self._threads) - targets:
            self._forget(gone)
        for target in targets - set(self._asked):
            thread = self._threads.setdefault(target, OneThread(name=f"mount {target}"))
            self._asked[target] = asyncio.create_task(
                thread.call(functools.partial(space_of, target))
            )
        if self._asked:
            await asyncio.wait(self._asked.values(), timeout=self._timeout)
        result: dict[str, Space | None] = {}
        for target, task in list(self._asked.items()):
            if not task.done():
                result[target] = None
                continue
            del self._asked[target]
            try:
                space = task.result()
            except OSError:
                continue  # unmounted meanwhile, or not for us: no measurement is no alarm
            if space is not None:
                result[target] = space
        return result

    def close(self) -> None:
        """Waits for nothing."""
        for target in list(self._threads):
            self._forget(target)
        self._reader.close()

    def _forget(self, target: str) -> None:
        task = self._asked.pop(target, None)
        if task is not None:
            task.cancel()
        self._threads.pop(target).close()

"""Removes old files of a folder: walked through descriptors, never over a link or onto another
file system, and never what somebody has open.

What the folder holds may be anybody's and hostile: names change while we look. Every step is taken
from a descriptor of the folder before it, so that a name that was swapped leads nowhere else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from daemon.helper.errors import RefusedError

DEEPEST = 64
MOST_LOOKED_AT = 500_000
MOST_REMOVED = 100_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEVER = frozenset(
    Path(path)
    for path in (
        *("/", "/bin", "/boot", "/dev", "/efi", "/etc", "/lib", "/lib32", "/lib64", "/nix"),
        *("/proc", "/run/systemd", "/sbin", "/sys", "/usr", "/var/lib/dpkg", "/var/lib/rpm"),
        *("/var/lib/systemd", "/var/lib/triaged", "/var/lib/postgresql"),
    )
)
"""Not cleaned, nor anything in them."""
_NEVER_WHOLE = frozenset(
    Path(path)
    for path in ("/home", "/mnt", "/media", "/opt", "/root", "/run", "/srv", "/var", "/var/lib")
)
"""Not cleaned as a whole."""


@dataclasses.dataclass(slots=True, kw_only=True)
class Swept:
    """What was removed (or would be), in files and bytes. `left` is old files that stayed: open, or
    not removable. `whole` False: there is more than one call may look at."""

    files: int = 0
    bytes: int = 0
    left: int = 0
    looked_at: int = 0
    whole: bool = True


def why_never(folder: Path) -> str:
    """Empty where the folder may be cleaned, when root lists it."""
    for never in _NEVER:
        if folder == never or (never != Path("/") and never in folder.parents):
            return f"{never} and what is in it is never cleaned"
    if folder in _NEVER_WHOLE:
        return f"{folder} is never cleaned as a whole; list what is in it"
    return ""


def sweep(
    folder: Path, *, older_than: float, now: float, seconds: float, remove: bool = True
) -> Swept:
    """Removes regular files of which nothing changed and nothing was read for `older_than`
    seconds before `now`; without `remove` it only counts them. Stops after `seconds`. Raises
    `RefusedError` where the folder cannot be reached without a link."""
    swept = Swept()
    walk = _Walk(
        before=now - older_than,
        until=time.monotonic() + seconds,
        opened=_opened_files(),
        remove=remove,
        to=swept,
    )
    with contextlib.closing(_Descriptor(_open(folder))) as top:
        walk.device, walk.mount = os.fstat(top.number).st_dev, _mount_of(top.number)
        walk.folder(top.number, 0)
    return swept


class _Descriptor:
    def __init__(self, number: int) -> None:
        self.number = number

    def close(self) -> None:
        os.close(self.number)


@dataclasses.dataclass(slots=True, kw_only=True)
class _Walk:
    before: float
    until: float
    opened: frozenset[tuple[int, int]]
    remove: bool
    to: Swept
    device: int = -1
    mount: str = ""

    def folder(self, descriptor: int, depth: int) -> None:
        for name in self._names(descriptor):
            if self._over():
                return
            self.to.looked_at += 1
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                facts = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if stat.S_ISDIR(facts.st_mode):
                    self._below(descriptor, name, depth + 1)
                elif stat.S_ISREG(facts.st_mode):
                    self._file(descriptor, name, facts)

    def _below(self, descriptor: int, name: str, depth: int) -> None:
        if depth > DEEPEST:
            self.to.whole = False
            return
        try:
            below = os.open(name, _FOLDER, dir_fd=descriptor)
        except OSError:
            return  # it is a link by now, or gone, or nobody's to read
        try:
            if os.fstat(below).st_dev == self.device and _mount_of(below) == self.mount:
                self.folder(below, depth)
        finally:
            os.close(below)

    def _file(self, descriptor: int, name: str, facts: os.stat_result) -> None:
        if max(facts.st_atime, facts.st_mtime, facts.st_ctime) >= self.before:
            return
        if facts.st_dev != self.device:
            return  # a file that is mounted over another one
        if (facts.st_dev, facts.st_ino) in self.opened:
            self.to.left += 1
            return
        if self.remove and not self._removed(descriptor, name, facts):
            return
        self.to.files += 1
        self.to.bytes += facts.st_blocks * 512 if facts.st_nlink == 1 else 0

    def _removed(self, descriptor: int, name: str, facts: os.stat_result) -> bool:
        again = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        if (again.st_ino, again.st_mtime_ns) != (facts.st_ino, facts.st_mtime_ns):
            return False
        try:
            os.unlink(name, dir_fd=descriptor)
        except FileNotFoundError:
            return False
        except OSError:
            self.to.left += 1
            return False
        return True

    def _names(self, descriptor: int) -> list[str]:
        names: list[str] = []
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    if self.to.looked_at + len(names) >= MOST_LOOKED_AT:
                        self.to.whole = False
                        break
                    names.append(entry.name)
        except OSError:
            self.to.whole = False
        return names

    def _over(self) -> bool:
        over = (
            self.to.looked_at >= MOST_LOOKED_AT
            or self.to.files >= MOST_REMOVED
            or time.monotonic() >= self.until
        )
        self.to.whole = self.to.whole and not over
        return over


def _open(folder: Path) -> int:
    """Component by component, so that no part of the path is a link."""
    descriptor = os.open("/", _FOLDER)
    for part in folder.parts[1:]:
        try:
            below = os.open(part, _FOLDER, dir_fd=descriptor)
        except OSError as error:
            raise RefusedError(
                f"{folder} cannot be reached without a link: {error.strerror} at {part!r}"
            ) from error
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


def _mount_of(descriptor: int) -> str:
    """The number of the mount: a folder that is bound here from elsewhere has the same device."""
    for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text("ascii").splitlines():
        if line.startswith("mnt_id:"):
            return line
    return ""


def _opened_files() -> frozenset[tuple[int, int]]:
    """Device and inode of every file that a process has open or mapped."""
    return frozenset(_each_opened())


def _each_opened() -> Iterator[tuple[int, int]]:
    for process in os.listdir("/proc"):  # noqa: PTH208
        if not process.isdigit():
            continue
        with contextlib.suppress(OSError), os.scandir(f"/proc/{process}/fd") as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    facts = entry.stat()
                    if stat.S_ISREG(facts.st_mode):
                        yield facts.st_dev, facts.st_ino
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process}/maps").read_text(errors="replace").splitlines():
                fields = line.split(maxsplit=5)
                if len(fields) > 4 and fields[4] != "0":
                    major, _, minor = fields[3].partition(":")
                    yield os.makedev(int(major, 16), int(minor, 16)), int(fields[4])

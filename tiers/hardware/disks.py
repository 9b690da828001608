"""File systems that can hold models and state."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from tiers.hardware.facts import Disk
from tiers.hardware.files import text_at


def read_disks(
    folders: Sequence[Path],
    *,
    root: Path = Path("/"),
    mounts: Callable[[], Sequence[tuple[str, str, str]]] | None = None,
) -> tuple[Disk, ...]:
    """The file systems that hold `folders` (which need not exist yet) and the real ones beside
    them, each once. `mounts` gives (device, mount point, kind)."""
    table = (mounts or _mounts)()
    wanted: dict[str, tuple[str, str]] = {}
    for device, mount, kind in table:
        wanted.setdefault(mount, (device, kind))
    found: dict[int, Disk] = {}
    ours = [_mount_of(folder, wanted) for folder in folders]
    others = [mount for mount, (device, _) in wanted.items() if device.startswith("/dev/")]
    for mount in [*ours, *others]:
        device, kind = wanted.get(mount, ("", ""))
        try:
            number = Path(mount).stat().st_dev
            space = os.statvfs(mount)
        except OSError:
            continue
        if number in found or space.f_blocks == 0:
            continue
        found[number] = Disk(
            mount=mount,
            device=device,
            kind=kind,
            total=space.f_blocks * space.f_frsize,
            free=space.f_bavail * space.f_frsize,
            rotating=_rotating(root, number),
        )
    return tuple(found.values())


def _mounts() -> Sequence[tuple[str, str, str]]:
    return [(part.device, part.mountpoint, part.fstype) for part in psutil.disk_partitions(True)]


def _mount_of(folder: Path, mounts: dict[str, tuple[str, str]]) -> str:
    """The mount point above a folder."""
    at = folder.absolute()
    while str(at) not in mounts and at != at.parent:
        at = at.parent
    return str(at)


def _rotating(root: Path, device: int) -> bool | None:
    block = root / f"sys/dev/block/{os.major(device)}:{os.minor(device)}"
    for queue in (block / "queue/rotational", block / "../queue/rotational"):
        said = text_at(queue)
        if said is not None:
            return said == "1"
    return None

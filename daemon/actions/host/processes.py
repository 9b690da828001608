"""Processes as the kernel shows them under /proc: proc(5). All of it blocks, briefly.

Read here and not through psutil, because an action's target is a process and its start in the
kernel's own ticks, which must not be rounded, and because one look has to be of one process.
"""

from __future__ import annotations

from pathlib import Path

from daemon.actions.host.host import ProcessState
from daemon.systemd.names import is_unit

_KERNEL_THREAD = 0x0020_0000
"""PF_KTHREAD among the flags of a task."""


def read_processes(proc: Path) -> list[ProcessState]:
    """All of them; one that ends meanwhile is left out."""
    found = []
    for entry in proc.iterdir():
        if entry.name.isascii() and entry.name.isdigit():
            process = read_process(proc, int(entry.name))
            if process is not None:
                found.append(process)
    return found


def read_process(proc: Path, pid: int) -> ProcessState | None:
    """None where there is none of that number (any more)."""
    folder = proc / str(pid)
    try:
        before = (folder / "stat").read_bytes()
        status = (folder / "status").read_bytes()
        cgroup = (folder / "cgroup").read_text("utf-8", "replace")
        after = (folder / "stat").read_bytes()
    except OSError:
        return None
    fields, name = _fields(before)
    if fields is None or _fields(after)[0] is None or _start(fields) != _start(_fields(after)[0]):
        return None  # another one has taken the number while we looked
    return ProcessState(
        pid=pid,
        start=_start(fields),
        name=name,
        uid=_real_uid(status),
        nice=int(fields[16]),
        state=fields[0].decode("ascii", "replace"),
        unit=unit_of(cgroup),
        command=_program(folder, name),
        parent=int(fields[1]),
        kernel=bool(int(fields[6]) & _KERNEL_THREAD),
    )


def unit_of(cgroup: str) -> str:
    """The system's unit that a process belongs to, from its /proc/PID/cgroup; "" for none.

    The first one in the path: what follows was made within it, and may carry any name.
    """
    for line in cgroup.splitlines():
        _, _, rest = line.partition(":")
        controller, _, path = rest.partition(":")
        if controller not in ("", "name=systemd"):
            continue
        for part in path.split("/"):
            if part.endswith((".service", ".scope")) and is_unit(part):
                return part
    return ""


def _fields(stat: bytes) -> tuple[list[bytes] | None, str]:
    """Those after the name, which may hold anything, brackets too. None: it is no such line."""
    head, bracket, tail = stat.rpartition(b")")
    fields = tail.split()
    if not bracket or len(fields) < 20:
        return None, ""
    return fields, head.partition(b"(")[2].decode("utf-8", "replace")


def _start(fields: list[bytes] | None) -> int:
    return int(fields[19]) if fields is not None else -1


def _real_uid(status: bytes) -> int:
    for line in status.splitlines():
        if line.startswith(b"Uid:"):
            return int(line.split()[1])
    return -1


def _program(folder: Path, name: str) -> str:
    try:
        return str((folder / "exe").readlink())
    except OSError:
        return name  # another user's, or a thread of the kernel

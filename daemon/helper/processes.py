"""Processes as /proc has them, and those that are never touched."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
from collections.abc import Iterator
from pathlib import Path

from daemon.helper.critical import why_critical_unit
from daemon.helper.errors import RefusedError

MOST_PID = 4_194_304
MOST_START = 2**63 - 1

_NEVER = frozenset(
    {
        *("sshd", "sshd-session", "sshd-auth", "login", "agetty"),
        *("systemd", "init", "(sd-pam)", "systemd-journal", "systemd-logind", "systemd-udevd"),
        *("dbus-daemon", "dbus-broker", "dbus-broker-lau", "polkitd"),
        *("systemd-network", "systemd-resolve", "NetworkManager", "wpa_supplicant"),
        *("dhclient", "dhcpcd"),
        *("triaged", "postgres"),
    }
)
"""Names that are never touched, wherever the process is: the way in, the bus, the network."""
_KERNEL_PARENT = 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """`start` is clock ticks since boot, `unit` that of its control group, "" for none."""

    pid: int
    parent: int
    start: int
    name: str
    state: str
    unit: str

    @property
    def is_kernel(self) -> bool:
        return self.pid == _KERNEL_PARENT or self.parent == _KERNEL_PARENT


def look(pid: int) -> Process:
    """Raises `RefusedError` where there is no such process."""
    try:
        raw = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
        groups = Path(f"/proc/{pid}/cgroup").read_text("utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        raise RefusedError(f"there is no process {pid}") from None
    # The name stands in parentheses and may hold any character, ")" too.
    name = raw[raw.index("(") + 1 : raw.rindex(")")]
    fields = raw[raw.rindex(")") + 2 :].split()
    return Process(
        pid=pid,
        parent=int(fields[1]),
        start=int(fields[19]),
        name=name,
        state=fields[0],
        unit=_unit(groups),
    )


@contextlib.contextmanager
def opened(
    pid: int, start: int, *, asker: int, critical: tuple[str, ...]
) -> Iterator[tuple[int, Process]]:
    """A pidfd of exactly the process that started at `start`, and its facts.

    The descriptor is opened first and the start time compared after. The asker saw the process
    before it asked: a descriptor of an earlier owner of the number fails the comparison, and a
    later owner has another start. Raises `RefusedError` for another process, and for what is never
    touched.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except (ProcessLookupError, OSError) as error:
        raise RefusedError(f"there is no process {pid}: {error.strerror}") from None
    try:
        process = look(pid)
        if process.start != start:
            raise RefusedError(
                f"the process {pid} started at {process.start}, not at {start}: it is another one"
            )
        if is_over(descriptor):
            raise RefusedError(f"the process {pid} has ended by itself")
        if why := why_never(process, asker=asker, critical=critical):
            raise RefusedError(f"the process {pid} ({process.name!a}) is never touched: {why}")
        yield descriptor, process
    finally:
        os.close(descriptor)


def is_over(descriptor: int) -> bool:
    """Whether the process of a pidfd has ended."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def why_never(process: Process, *, asker: int, critical: tuple[str, ...]) -> str:
    """Empty where the process may be touched."""
    if process.pid == 1:
        return "it is the first process"
    if process.is_kernel:
        return "it belongs to the kernel"
    if process.pid in {os.getpid(), os.getppid(), asker}:
        return "it asks for this"
    if process.name in _NEVER:
        return "a program of that name keeps the host reachable or running"
    if process.unit and (why := why_critical_unit(process.unit, critical)):
        return f"it belongs to {process.unit}, {why}"
    return ""


def _unit(groups: str) -> str:
    """Of "0::/system.slice/nginx.service/worker" the first unit: what is below it may have been
    named by whoever runs there."""
    for line in groups.splitlines():
        hierarchy, _, path = line.split(":", 2)
        if hierarchy == "0" or "name=systemd" in line:
            units = [part for part in path.split("/") if part.endswith((".service", ".scope"))]
            if units:
                return units[0]
    return ""

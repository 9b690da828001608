"""Mounts a file system again, read-only or writable, and changes nothing else of it."""

from __future__ import annotations

import re
from pathlib import Path

from daemon.helper.arguments import Arguments
from daemon.helper.context import Context, Done, Verb
from daemon.helper.errors import FailedError, RefusedError

_POINT = re.compile(r"/|(/[^/\x00-\x1f\x7f]{1,255}){1,30}")
_NOT_READ_ONLY = frozenset({"/", "/usr", "/var", "/etc", "/boot", "/run", "/tmp", "/nix"})  # noqa: S108
"""Without them the host, or triaged, does not go on."""
_NO_STORAGE = frozenset(
    {
        *("proc", "sysfs", "devtmpfs", "devpts", "cgroup", "cgroup2", "securityfs", "efivarfs"),
        *("bpf", "tracefs", "debugfs", "configfs", "mqueue", "hugetlbfs", "autofs", "pstore"),
        *("binfmt_misc", "fusectl", "rpc_pipefs", "overlay", "squashfs", "nsfs", "ramfs"),
    }
)
_OURS, _HOSTS = Path("/proc/self/mountinfo"), Path("/proc/1/mountinfo")


def _run(arguments: Arguments, context: Context) -> Done:
    point = arguments.text("point", _POINT)
    mode = arguments.choice("mode", ("ro", "rw"))
    arguments.end()
    config = context.config
    with context.lock(f"mount {point}"):
        if Path(point) not in config.mounts or str(Path(point)) != point:
            raise RefusedError(f"{point} is not among the 'mounts' of {config.file}")
        if mode == "ro" and point in _NOT_READ_ONLY:
            raise RefusedError(f"{point} is never made read-only: the host needs to write there")
        kind, before = _mounted(point)
        if kind in _NO_STORAGE:
            raise RefusedError(f"{point} is no storage ({kind})")
        argv = ["mount", "-o", f"remount,{mode}", "--target", point]
        enter = _on_the_host()
        output = context.programs.run([*enter, *argv], seconds=50)
        if output.status != 0:
            hint = " (does the unit have the drop-in mounts.conf?)" if enter else ""
            raise FailedError(f"{point} was not mounted {mode}: {output.last}{hint}")
        _, after = _mounted(point)
    if mode not in after:
        raise FailedError(f"{point} is mounted {','.join(after)} all the same")
    return Done(detail=f"{point} is mounted {mode}", data={"before": before, "after": after})


def _on_the_host() -> list[str]:
    """The unit has a view of mounts of its own; what is to change is the host's. No two mounts
    have the same number, so views with the same lines are the same."""
    if _OURS.read_bytes() == _HOSTS.read_bytes():
        return []
    return ["nsenter", "--target", "1", "--mount", "--"]


def _mounted(point: str) -> tuple[str, list[str]]:
    """Type and the file system's own options (not those of one view of it), of the uppermost mount
    there. Raises `RefusedError` where nothing is mounted."""
    found = None
    for line in _HOSTS.read_text("utf-8", errors="replace").splitlines():
        here, _, there = line.partition(" - ")
        fields, more = here.split(), there.split()
        if _plain(fields[4]) == point:
            found = (more[0], more[2].split(","))
    if found is None:
        raise RefusedError(f"nothing is mounted at {point}")
    return found


def _plain(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


REMOUNT = Verb(name="remount", seconds=80.0, run=_run)

"""Whose process is that: a server of this daemon, one that an earlier run left, or a stranger.

Every server carries a mark in its environment: the state directory, the tier, and the daemon that
started it (process id and start time). The mark outlives the daemon and cannot be had by chance.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import select
import signal
import socket
from pathlib import Path

import psutil

from tiers.vocabulary import TierName

MARK = "TRIAGED_SERVER"
_SEPARATOR = "|"
_SAME_START_SECONDS = 1.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a server's environment says about who started it."""

    state_dir: str
    tier: str
    daemon_pid: int
    daemon_started: float

    def text(self) -> str:
        parts = (self.state_dir, self.tier, str(self.daemon_pid), f"{self.daemon_started:.2f}")
        return _SEPARATOR.join(parts)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that listens on a port. `pid` is None where the system does not tell us."""

    pid: int | None
    name: str
    orphan: bool
    """A server of the same state directory whose daemon is gone."""

    def words(self) -> str:
        return f"{self.name} (pid {self.pid})" if self.pid is not None else self.name


def my_mark(*, state_dir: Path, tier: TierName) -> Mark:
    """The mark for servers that this process starts."""
    return Mark(
        state_dir=str(state_dir.resolve()),
        tier=str(tier),
        daemon_pid=os.getpid(),
        daemon_started=psutil.Process().create_time(),
    )


def read_mark(process: psutil.Process) -> Mark | None:
    """The mark of a process, None for a stranger or one that may not be looked into."""
    try:
        value = process.environ().get(MARK, "")
    except (psutil.Error, OSError):
        return None
    parts = value.rsplit(_SEPARATOR, 3)
    if len(parts) != 4:
        return None
    with contextlib.suppress(ValueError):
        return Mark(
            state_dir=parts[0],
            tier=parts[1],
            daemon_pid=int(parts[2]),
            daemon_started=float(parts[3]),
        )
    return None


def is_orphan(mark: Mark | None, *, of: Path) -> bool:
    """Whether a server with this mark belongs to the state directory and to no living daemon."""
    if mark is None or mark.state_dir != str(of.resolve()):
        return False
    try:
        started = psutil.Process(mark.daemon_pid).create_time()
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
    return abs(started - mark.daemon_started) > _SAME_START_SECONDS


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now. Raises `OSError` for an address that is not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def free_port(host: str) -> int:
    """A port that nobody listens on right now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port


def holder_of(port: int, *, state_dir: Path) -> Holder | None:
    """Who listens on a TCP port; None when nobody does any more."""
    unknown = None
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return Holder(pid=None, name="a process that cannot be looked up", orphan=False)
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or not connection.laddr:
            continue
        if connection.laddr.port != port:
            continue
        if connection.pid is None:
            unknown = Holder(pid=None, name="a process of another user", orphan=False)
            continue
        try:
            process = psutil.Process(connection.pid)
            name = process.name()
        except psutil.NoSuchProcess:
            continue
        orphan = is_orphan(read_mark(process), of=state_dir)
        return Holder(pid=connection.pid, name=name, orphan=orphan)
    return unknown


def end_orphan(pid: int, *, state_dir: Path, seconds: float = 5.0) -> bool:
    """Ends a server that an earlier run left. Blocks for seconds at worst. True when it is gone.

    The mark is read again through a descriptor that pins the process id.
    """
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        if not is_orphan(read_mark(psutil.Process(pid)), of=state_dir):
            return False
        for what in (signal.SIGTERM, signal.SIGKILL):
            signal.pidfd_send_signal(handle, what)
            if select.select([handle], [], [], seconds)[0]:
                return True
        return False
    except (ProcessLookupError, psutil.NoSuchProcess):
        return True
    finally:
        os.close(handle)

"""Who listens on a server's port: our own process, and never one that was quicker.

Looked for once, when a server begins to listen; from then on one link in /proc tells whether that
very socket is still open. It is gone before the port can be had by anybody else.
"""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
from collections.abc import Iterator
from pathlib import Path

import psutil


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A listening socket of one process. `link` is its descriptor in /proc, `socket` what that
    pointed to: socket numbers are not used twice."""

    pid: int
    link: Path
    socket: str

    def open(self) -> bool:
        """Whether the process still has it. Costs a system call."""
        try:
            return str(self.link.readlink()) == self.socket
        except OSError:
            return False


def listener_of(pid: int, *, host: str, port: int) -> Listener | None:
    """The socket with which this process, or one that it started, listens on the port at the
    address `host` or at every address. Blocks for milliseconds."""
    for process in _with_children(pid):
        with contextlib.suppress(psutil.Error, OSError):
            for connection in process.net_connections(kind="tcp"):
                if (
                    connection.status == psutil.CONN_LISTEN
                    and connection.laddr.port == port
                    and answers_at(connection.laddr.ip, host)
                ):
                    link = Path(f"/proc/{process.pid}/fd/{connection.fd}")
                    return Listener(pid=process.pid, link=link, socket=str(link.readlink()))
    return None


def answers_at(bound: str, host: str) -> bool:
    """Whether a socket bound to one address takes connections to another. A `host` that is a name
    is taken for any address."""
    try:
        wanted = ipaddress.ip_address(host)
        has = ipaddress.ip_address(bound.partition("%")[0])
    except ValueError:
        return True
    if isinstance(has, ipaddress.IPv6Address) and has.ipv4_mapped is not None:
        has = has.ipv4_mapped
    return has.is_unspecified or has == wanted


def _with_children(pid: int) -> Iterator[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        yield process
        yield from process.children(recursive=True)

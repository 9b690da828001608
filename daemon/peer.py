"""Which user of this host holds the other end of a connection, as the kernel tells it.

`/proc/self/net/tcp` and `tcp6` list every connection of our network namespace with the user who
made its socket. Read for an approval, and for nothing that is asked often.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import pwd
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from api.ports_actions import Address, Peer

_TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
_ESTABLISHED = "01"
_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


class HostPeers:
    """Satisfies `api.ports_actions.Peers` on Linux."""

    def __init__(self, *, tables: Iterable[Path] = _TABLES) -> None:
        self._tables = tuple(tables)

    async def owner(self, *, client: Address, server: Address) -> Peer | None:
        """Reads the tables in a thread: on a busy host they are long."""
        uid = await asyncio.to_thread(self._uid, client, server)
        if uid is None:
            return None
        return Peer(uid=uid, name=_name(uid), trusted=uid in (0, os.geteuid()))

    def _uid(self, client: Address, server: Address) -> int | None:
        try:
            wanted = (_ip(client[0]), client[1], _ip(server[0]), server[1])
        except ValueError:
            return None
        for table in self._tables:
            try:
                with table.open(encoding="ascii", errors="replace") as lines:
                    found = owner_in(lines, wanted)
            except OSError:
                continue  # a kernel without IPv6 has no tcp6
            if found is not None:
                return found
        return None


def owner_in(lines: Iterable[str], wanted: tuple[_Ip, int, _Ip, int]) -> int | None:
    """The uid of the socket at (local address, port, remote address, port). Pure.

    Only a connection that stands, and a socket that a process holds (its inode is not 0), count:
    the kernel shows a socket that nobody holds any more as root's, so whoever asks and hangs up at
    once would be root.
    """
    for line in lines:
        fields = line.split()
        if len(fields) < 10 or fields[3] != _ESTABLISHED or fields[9] == "0":
            continue
        try:
            local, remote = _end(fields[1]), _end(fields[2])
            if (*local, *remote) == wanted:
                return int(fields[7])
        except ValueError:
            continue
    return None


def _end(text: str) -> tuple[_Ip, int]:
    """ "0100007F:1F93" is 127.0.0.1, port 8083: words in the byte order of the machine."""
    address, _, port = text.partition(":")
    raw = b"".join(_words(bytes.fromhex(address)))
    return _plain(ipaddress.ip_address(raw)), int(port, 16)


def _words(raw: bytes) -> Iterator[bytes]:
    for start in range(0, len(raw), 4):
        word = raw[start : start + 4]
        yield word[::-1] if sys.byteorder == "little" else word


def _ip(text: str) -> _Ip:
    return _plain(ipaddress.ip_address(text.partition("%")[0]))


def _plain(address: _Ip) -> _Ip:
    """An IPv4 address is one, however it was written."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"

"""Whether the daemon's own store is a PostgreSQL of this host, whose units are critical then."""

from __future__ import annotations

import ipaddress
import socket

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from daemon.actions.host.critical import LOCAL_DATABASE

_LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})


def critical_database(dsn: str | None) -> tuple[str, ...]:
    """Globs for `Limits.critical_units`: none where the store is embedded (`dsn` None) or on other
    hosts alone. What cannot be told is taken for local."""
    if dsn is None:
        return ()
    try:
        said = conninfo_to_dict(dsn)
    except ProgrammingError:
        return LOCAL_DATABASE
    hosts = str(said.get("hostaddr") or said.get("host") or "").split(",")
    return LOCAL_DATABASE if any(map(_is_local, hosts)) else ()


def _is_local(host: str) -> bool:
    host = host.strip()
    if not host or host.startswith(("/", "@")) or host.casefold() in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # Without asking a name server: it may be what is down.
        return _first_part(host) == _first_part(socket.gethostname())


def _first_part(name: str) -> str:
    return name.partition(".")[0].casefold()

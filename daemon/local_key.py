"""The key of whoever may read the state folder: commands on this host need no other.

Made anew by each start, gone at its end. Only the daemon's user and root can read it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from api.keys.key import Key, digest_of, new_secret
from api.loopback import is_loopback
from api.roles import Role
from tiers.nofollow import no_follow

_MOST_BYTES = 1_000


@contextlib.contextmanager
def local_key(state_dir: Path, *, host: str, port: int) -> Iterator[Key]:
    """The key while the block runs; `host` and `port` are where the facade listens. Raises
    OSError."""
    path = _path(state_dir)
    secret = new_secret()
    path.unlink(missing_ok=True)
    descriptor = no_follow(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{host} {port} {secret}\n")
    try:
        yield Key(name="local", role=Role.ADMIN, digest=digest_of(secret.encode()))
    finally:
        path.unlink(missing_ok=True)


def read_local_key(state_dir: Path, *, url: str) -> str | None:
    """The key for the daemon at `url`, if it is the one of this state folder and we may read it.

    Nobody else is ever sent it: the address must be the one that it was made for.
    """
    try:
        descriptor = no_follow(_path(state_dir), os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            parts = file.read(_MOST_BYTES).decode("ascii").split()
        asked = urlsplit(url)
        port = asked.port
    except (OSError, ValueError):
        return None
    if len(parts) != 3 or parts[1] != str(port) or asked.hostname is None:
        return None
    host, _, secret = parts
    return secret if is_loopback(asked.hostname) or asked.hostname == host else None


def _path(state_dir: Path) -> Path:
    return state_dir / "local.key"

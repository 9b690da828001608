"""Who the embedded PostgreSQL runs as, and what that user can reach.

PostgreSQL refuses to be root. When the daemon is root, PostgreSQL becomes an unprivileged user that
owns the data directory and nothing else. The folders above it are left as they are: what that user
could not reach by path is handed over as an open descriptor (see `daemon.store.embedded`).
"""

from __future__ import annotations

import dataclasses
import os
import pwd
import stat
from pathlib import Path

from daemon.store.errors import StoreSetupError

CANDIDATES = ("triaged", "postgres", "nobody")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user of this host. `drop` says that the daemon is root and has to become that user."""

    name: str
    uid: int
    gid: int
    drop: bool


def choose_account(*, run_as: str | None, data: Path) -> Account:
    """The user to run PostgreSQL as: the owner of `data` when it exists, else what was asked for.

    Raises `StoreSetupError` when there is no such user, or when existing data is somebody else's.
    """
    owner = data.stat().st_uid if data.exists() else None
    if os.geteuid() != 0:
        own = _current()
        if owner is not None and owner != own.uid:
            msg = (
                f"the embedded PostgreSQL's data in {data} belongs to {_name(owner)}, and this"
                f" process is {own.name}; run it as {_name(owner)}, or set another state directory"
            )
            raise StoreSetupError(msg)
        return own
    if owner == 0:
        msg = (
            f"{data} belongs to root, and PostgreSQL never runs as root; give it to an unprivileged"
            f" user (chown -R postgres {data}) or move it away to start empty"
        )
        raise StoreSetupError(msg)
    if owner is not None:
        return _of(pwd.getpwuid(owner)) if _known(owner) else _unknown(owner, data)
    if run_as is not None:
        return _named(run_as)
    for candidate in CANDIDATES:
        try:
            entry = pwd.getpwnam(candidate)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return _of(entry)
    msg = (
        "PostgreSQL refuses to run as root, and this host has none of the users "
        f"{', '.join(CANDIDATES)}; create one (useradd --system triaged) or set"
        " store.embedded.run_as"
    )
    raise StoreSetupError(msg)


def reachable(path: Path, account: Account) -> bool:
    """Whether `account` may enter every folder on the way to `path`, by owner and mode alone."""
    if not account.drop:
        return True
    return all(_may_enter(parent.stat(), account) for parent in path.resolve().parents)


def _may_enter(folder: os.stat_result, account: Account) -> bool:
    if folder.st_uid == account.uid:
        return bool(folder.st_mode & stat.S_IXUSR)
    if folder.st_gid == account.gid:
        return bool(folder.st_mode & stat.S_IXGRP)
    return bool(folder.st_mode & stat.S_IXOTH)


def _current() -> Account:
    uid = os.geteuid()
    if not _known(uid):
        msg = (
            f"user id {uid} has no entry in /etc/passwd, and PostgreSQL's initdb needs a name; add"
            " one, or set store.dsn to a PostgreSQL that runs already"
        )
        raise StoreSetupError(msg)
    return Account(name=_name(uid), uid=uid, gid=os.getegid(), drop=False)


def _named(name: str) -> Account:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        msg = (
            f"store.embedded.run_as is {name!r}, and this host has no such user; create it or"
            " change the setting"
        )
        raise StoreSetupError(msg) from None
    if entry.pw_uid == 0:
        msg = f"store.embedded.run_as is {name!r}, which is root; PostgreSQL refuses to run as root"
        raise StoreSetupError(msg)
    return _of(entry)


def _of(entry: pwd.struct_passwd) -> Account:
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, drop=True)


def _unknown(uid: int, data: Path) -> Account:
    msg = (
        f"{data} belongs to user id {uid}, which has no entry in /etc/passwd any more; give the"
        f" data to an existing user (chown -R postgres {data})"
    )
    raise StoreSetupError(msg)


def _known(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _name(uid: int) -> str:
    return pwd.getpwuid(uid).pw_name if _known(uid) else str(uid)

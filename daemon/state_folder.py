"""The state folder before anything is put into it: made, as root refused where others rule, and
held by one daemon."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from tiers.nofollow import no_follow

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class StateFolderError(Exception):
    """The folder cannot be used. The sentence says which, why and what to do."""


def prepare_state(folder: Path, *, environ: Mapping[str, str]) -> None:
    """Makes the folder, which others may pass through (PostgreSQL's own user has to) and no more.

    Raises `StateFolderError` where it cannot be made, and as root where somebody else could put
    links into it: what root writes through those is anybody's file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        why = distrusted(folder, environ=environ)
    except OSError as error:
        message = (
            f"the state folder {folder} cannot be made: {error.strerror}; choose another with "
            "--state-dir"
        )
        raise StateFolderError(message) from error
    if why:
        message = (
            f"the state folder {folder} {why}, who could make triaged, which runs as root, write "
            f"where they like; run `chown root {folder} && chmod go-w {folder}` if you trust what "
            "is in it, or choose another with --state-dir"
        )
        raise StateFolderError(message)


def distrusted(folder: Path, *, environ: Mapping[str, str]) -> str:
    """Why root must not use an existing folder, "" when it may. Raises `OSError`.

    Trusted are root and who became root by sudo, by the folder itself and by the link that names
    it, where it is one.
    """
    if os.geteuid() != 0:
        return ""
    caller = environ.get("SUDO_UID", "")
    trusted = {0, int(caller) if caller.isascii() and caller.isdigit() else 0}
    status = folder.stat()
    for owner in (folder.lstat().st_uid, status.st_uid):
        if owner not in trusted:
            return f"belongs to user {owner}"
    if status.st_mode & _OTHERS_WRITE:
        return f"can be changed by other users (mode {stat.S_IMODE(status.st_mode):04o})"
    return ""


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """One daemon for one state folder, while the block runs (flock on `daemon.lock`).

    Comes before anything is started there: two daemons would write into the same logs, and the
    second would remove what the first needs to find its servers again. Raises `StateFolderError`.
    """
    path = folder / "daemon.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        descriptor = no_follow(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        message = (
            f"{path} cannot be opened: {error.strerror}; run as the user that the state folder "
            "belongs to, or choose another with --state-dir"
        )
        raise StateFolderError(message) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            message = (
                f"the state in {folder} is in use by process {owner}; stop that triaged first, or "
                "choose another folder with --state-dir"
            )
            raise StateFolderError(message) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def owner_of(folder: Path) -> int | None:
    """The process that `held` this folder last, which may have ended since; None where none is
    told. Takes no lock: that would be in a daemon's way that starts now."""
    try:
        descriptor = no_follow(folder / "daemon.lock", os.O_RDONLY)
    except OSError:
        return None
    try:
        return int(os.pread(descriptor, 20, 0))
    except ValueError:
        return None
    finally:
        os.close(descriptor)

"""One call at a time on a target, over all processes of the helper."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from daemon.helper.errors import BusyError, FailedError
from daemon.helper.trust import only_root_writes

_FILES = 256
"""How many lock files there can be. Two targets that share one wait for each other, no more."""
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def held(folder: Path, target: str, *, seconds: float = 5.0) -> Iterator[None]:
    """Raises `BusyError` where another call holds the target for longer than `seconds`."""
    descriptor = _open(folder, target)
    try:
        end = time.monotonic() + seconds
        while not _taken(descriptor):
            if time.monotonic() >= end:
                raise BusyError(f"another call works on {target}; try again when it is over")
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def _open(folder: Path, target: str) -> int:
    number = int.from_bytes(hashlib.sha256(target.encode()).digest()[:4], "big") % _FILES
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if not only_root_writes(os.fstat(directory)):
                raise FailedError(f"the folder of locks {folder} is not root's alone")
            return os.open(f"{number:03d}", _FLAGS, 0o600, dir_fd=directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise FailedError(f"no lock can be made in {folder}: {error.strerror}") from error


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

"""Writes and removes one small file in a unit's folder of drop-ins, through descriptors alone."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from daemon.helper.errors import FailedError, RefusedError
from daemon.helper.trust import only_root_writes

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write(folder: Path, unit: str, name: str, content: str) -> None:
    """Puts the file in place by a rename. Raises `FailedError`."""
    with _translated(), _opened(folder) as top:
        with contextlib.suppress(FileExistsError):
            os.mkdir(f"{unit}.d", 0o755, dir_fd=top)
        with _opened_below(top, f"{unit}.d") as below:
            new = f".{name}.new"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(new, dir_fd=below)
            descriptor = os.open(new, _NEW, 0o644, dir_fd=below)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            os.rename(new, name, src_dir_fd=below, dst_dir_fd=below)
            os.fsync(below)


def remove(folder: Path, unit: str, name: str) -> None:
    """Removes exactly that file, and the folder where it holds nothing else. Raises
    `RefusedError` where there is none."""
    with _translated(), _opened(folder) as top:
        try:
            with _opened_below(top, f"{unit}.d") as below:
                os.unlink(name, dir_fd=below)
                os.fsync(below)
        except FileNotFoundError:
            raise RefusedError(f"{folder}/{unit}.d has no {name}") from None
        try:
            os.rmdir(f"{unit}.d", dir_fd=top)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, _FOLDER)
    try:
        _trusted(descriptor, str(folder))
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _opened_below(top: int, name: str) -> Iterator[int]:
    descriptor = os.open(name, _FOLDER, dir_fd=top)
    try:
        _trusted(descriptor, name)
        yield descriptor
    finally:
        os.close(descriptor)


def _trusted(descriptor: int, name: str) -> None:
    if not only_root_writes(os.fstat(descriptor)):
        raise FailedError(f"the folder {name} is not root's alone")


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FailedError(f"the drop-in cannot be changed: {error}") from error

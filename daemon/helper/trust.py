"""Files that root may rely on: nobody but root can have written them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from daemon.helper.errors import NotAllowedError

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def read_trusted(path: Path, *, limit: int) -> bytes:
    """The bytes of a regular file that is root's, in folders that are.

    Raises FileNotFoundError where there is none, `NotAllowedError` where others than root could
    have written it, or where it is longer than `limit`.
    """
    for folder in path.parents:
        _check_folder(folder)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise NotAllowedError(f"{path} cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise NotAllowedError(f"{path} is not a regular file")
        if facts.st_uid != 0 or facts.st_mode & _OTHERS_WRITE:
            raise NotAllowedError(
                f"{path} can be written by others than root, so nothing is allowed: "
                f"chown root:root {path}; chmod 0644 {path}"
            )
        content = file.read(limit + 1)
    if len(content) > limit:
        raise NotAllowedError(f"{path} is longer than {limit} bytes")
    return content


def only_root_writes(facts: os.stat_result) -> bool:
    """Of a file or a folder. A folder with the sticky bit keeps others from what is not theirs."""
    if facts.st_uid != 0:
        return False
    if not facts.st_mode & _OTHERS_WRITE:
        return True
    return stat.S_ISDIR(facts.st_mode) and bool(facts.st_mode & stat.S_ISVTX)


def _check_folder(folder: Path) -> None:
    try:
        facts = folder.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise NotAllowedError(f"{folder} cannot be looked at: {error.strerror}") from error
    if not only_root_writes(facts):
        raise NotAllowedError(
            f"the folder {folder} can be written by others than root, so nothing is allowed: "
            f"chown root:root {folder}; chmod 0755 {folder}"
        )

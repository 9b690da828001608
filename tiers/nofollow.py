"""Opens files of the state folder: never what a link names, which may be anybody's."""

from __future__ import annotations

import os


def no_follow(path: str | os.PathLike[str], flags: int) -> int:
    """An opener for `open`: a link is an OSError (ELOOP), a new file is for its owner alone."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

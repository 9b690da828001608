"""A file group's cursor: which files were known, and where each goes on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from daemon.events import Cursor
from daemon.sources.base import SourceError


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where one file goes on. `head` is the digest of its first `head_bytes` bytes: device and
    inode alone are used again for other files."""

    path: str
    dev: int
    ino: int
    head: str
    head_bytes: int
    offset: int


def dump(patterns: Iterable[str], positions: Iterable[Position]) -> Cursor:
    """JSON-ready. The patterns tell, after a change of the configuration, files that were not
    followed before from files that are new."""
    return {
        "patterns": sorted(patterns),
        "files": [[p.path, p.dev, p.ino, p.head, p.head_bytes, p.offset] for p in positions],
    }


def load(cursor: Cursor | None) -> tuple[frozenset[str], list[Position]]:
    """Patterns and positions. Raises `SourceError` where the cursor is not one of this source."""
    if cursor is None:
        return frozenset(), []
    try:
        return frozenset(map(str, cursor["patterns"])), [_position(row) for row in cursor["files"]]
    except (KeyError, TypeError, ValueError) as error:
        message = (
            f"the stored cursor is not one of a file group ({type(error).__name__}: {error}); "
            "delete its row in the table cursors to start at the end of the files"
        )
        raise SourceError(message) from error


def _position(row: Any) -> Position:
    if isinstance(row, Mapping) or len(row) != 6:
        message = f"not a position: {row!r}"
        raise ValueError(message)
    path, dev, ino, head, head_bytes, offset = row
    return Position(
        path=str(path),
        dev=int(dev),
        ino=int(ino),
        head=str(head),
        head_bytes=int(head_bytes),
        offset=int(offset),
    )

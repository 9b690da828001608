"""Which files a group's globs mean, and where a file went that left its place."""

from __future__ import annotations

import dataclasses
import fnmatch
import glob
import os
from collections.abc import Iterable
from pathlib import Path

from daemon.sources.files_cursor import Position
from daemon.sources.files_open import NotALogError, Opened, digest, open_log

_MAGIC = frozenset("*?[")
_WEAK_HEAD = 32
"""A beginning shorter than this many bytes says nothing about files with different inodes."""


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """`paths` maps each path to the pattern that found it first; `left_out` were too many."""

    paths: dict[str, str]
    left_out: int


def find(patterns: Iterable[str], exclude: Iterable[str], *, limit: int) -> Found:
    """All paths that exist now. Rotated files come before the file that replaced them."""
    excluded = tuple(exclude)
    paths: dict[str, str] = {}
    left_out = 0
    for pattern in patterns:
        hits = _expand(pattern)
        for path in sorted(hits, reverse=True):
            if path in paths or _is_excluded(path, excluded):
                continue
            if len(paths) >= limit:
                left_out += 1
            else:
                paths[path] = pattern
    return Found(paths, left_out)


def _expand(pattern: str) -> Iterable[str]:
    if not _MAGIC & set(pattern):
        return [pattern]
    return glob.iglob(pattern, recursive=True)  # noqa: PTH207 -- the pattern is absolute


def _is_excluded(path: str, excluded: tuple[str, ...]) -> bool:
    name = Path(path).name
    return any(
        fnmatch.fnmatchcase(path if "/" in pattern else name, pattern) for pattern in excluded
    )


def folders(patterns: Iterable[str], paths: Iterable[str]) -> list[str]:
    """The folders in which a change may concern the group: those of its files, and the deepest
    one that exists above each pattern."""
    result = {Path(path).parent for path in paths}
    for pattern in patterns:
        folder = Path(pattern).parent
        while _MAGIC & set(str(folder)) or not folder.is_dir():
            folder = folder.parent
        # The root changes with everything: looking there now and then has to do.
        if folder != folder.parent:
            result.add(folder)
    return sorted(str(folder) for folder in result if folder.is_dir())


def is_same(known: Position, opened: Opened) -> bool:
    """Whether an open file is the one of a position, grown or not, judged by its beginning."""
    return opened.size >= known.offset and _begins_as(known, opened)


def _begins_as(known: Position, opened: Opened) -> bool:
    head = opened.head[: known.head_bytes]
    return len(head) == known.head_bytes and digest(head) == known.head


def locate(known: Position, *, skip: set[tuple[int, int]]) -> tuple[str, Opened] | None:
    """The file of a position under whatever name it has in its folder now: the file itself after
    a rename, else a copy of it. The largest copy is taken; one that is shorter than what was read
    holds nothing new. The caller closes the descriptor."""
    folder = Path(known.path).parent
    try:
        with os.scandir(folder) as scan:
            entries = [entry for entry in scan if entry.is_file(follow_symlinks=False)]
            ranked = sorted(
                (entry.inode() != known.ino, -entry.stat(follow_symlinks=False).st_size, entry.path)
                for entry in entries
            )
    except OSError:
        return None  # no such folder, or not for us, or in motion: looked at again next time
    for is_other, _, path in ranked:
        if is_other and not _may_be_copy(known, path):
            continue
        opened = _try_open(path)
        if opened is None:
            continue
        if (opened.dev, opened.ino) not in skip and (
            _begins_as(known, opened) if is_other else is_same(known, opened)
        ):
            return path, opened
        os.close(opened.fd)
    return None


def rotated_after(path: str, found: str) -> list[str]:
    """Files that were rotated away from `path` later than `found` was, oldest first: with more
    than one rotation while nobody looked, the ones in between were never seen."""
    name = Path(path).name
    newer = []
    try:
        since = Path(found).stat().st_mtime_ns
        with os.scandir(Path(path).parent) as scan:
            for entry in scan:
                if entry.path in (path, found) or not entry.name.startswith(
                    (f"{name}.", f"{name}-")
                ):
                    continue
                changed = entry.stat(follow_symlinks=False).st_mtime_ns
                if entry.is_file(follow_symlinks=False) and changed >= since:
                    newer.append((changed, entry.path))
    except OSError:
        return []  # in motion: what is found is followed all the same
    return [entry_path for _, entry_path in sorted(newer)]


def _may_be_copy(known: Position, path: str) -> bool:
    """A short beginning is no proof; then the name has to speak for it: app.log, app.log.1."""
    if known.head_bytes >= _WEAK_HEAD:
        return True
    return known.head_bytes > 0 and Path(path).name.startswith(Path(known.path).name)


def _try_open(path: str) -> Opened | None:
    try:
        return open_log(path)
    except (NotALogError, OSError):
        return None  # not a candidate; what it is gets said where it is looked at as a log


def may_match(path: str, patterns: Iterable[str]) -> bool:
    """Whether a changed path may be one that a pattern finds. Errs on the side of yes."""
    return any(fnmatch.fnmatchcase(path, pattern.replace("**/", "*")) for pattern in patterns)

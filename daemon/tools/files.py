"""Excerpts of files that the operator allows to be read."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path, PurePosixPath

from daemon.tools.blocking import apart
from daemon.tools.toolbox import ToolError
from daemon.tools.words import newest
from tiers.contracts import ToolResult
from tiers.vocabulary import Provenance

_TAIL_BYTES = 256 * 1024
_LINE_CHARS = 2_000
_DATA_CHARS = 12_000
_SECRET_NAMES = re.compile(
    r"(?i)(shadow|opasswd|\.(pem|key|p12|pfx|kdbx|keytab|gpg|env)($|[./~-])|/id_[a-z0-9]+"
    r"|secret|password|passwd\.|credential|token|/\.(pgpass|netrc|my\.cnf|git-credentials))"
)


class Allowed:
    """What the operator allows: globs over what is really read ("/var/log/**" goes through
    folders), and files that are named outright, wherever their name leads (/etc/os-release)."""

    def __init__(self, readable: Sequence[str]) -> None:
        self.words = ", ".join(readable)
        self._named = [path for path in readable if not re.search(r"[*?]", path)]
        self._globs = [_glob(path) for path in readable if re.search(r"[*?]", path)]

    def named(self, real: str) -> bool:
        return any(real == _real(path) for path in self._named)

    def covers(self, real: str) -> bool:
        if _SECRET_NAMES.search(real):
            return False
        return any(glob.fullmatch(real) for glob in self._globs) or self.named(real)


def file_excerpt(*, readable: Sequence[str]) -> Callable[..., Awaitable[ToolResult]]:
    """The tool for an allow list."""
    allowed = Allowed(readable)

    async def tool(*, path: str, lines: int = 30) -> ToolResult:
        return await apart(lambda: _excerpt(path, min(lines, 200), allowed))

    return tool


def _excerpt(path: str, lines: int, allowed: Allowed) -> ToolResult:
    if not path.startswith("/"):
        raise ToolError(f"{path} is not an absolute path; write it from / on.")
    # Links are followed first: the allow list is about what is really read.
    real = _real(path)
    if not allowed.covers(real):
        raise ToolError(f"{path} may not be read; allowed are {allowed.words}.")
    descriptor = _open(real, path, allowed)
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - _TAIL_BYTES))
        raw = file.read(_TAIL_BYTES)
    if b"\0" in raw and not real.startswith("/proc/"):
        raise ToolError(f"{path} is not a text file.")
    text = raw.decode("utf-8", errors="replace").split("\n")
    if not text[-1]:
        text.pop()
    if size > _TAIL_BYTES and len(text) > 1:
        text = text[1:]  # most likely cut in the middle
    shown = [line[:_LINE_CHARS] for line in text[-lines:]]
    if not shown:
        return ToolResult(ok=True, summary=f"{path} is empty.", provenance=Provenance.TEXT)
    return ToolResult(
        ok=True,
        summary=f"The last {len(shown)} lines of {path}: {newest(shown, most=8)}",
        data={"path": real, "bytes": size, "lines": _within(shown)},
        provenance=Provenance.TEXT,
    )


def _within(lines: list[str]) -> list[str]:
    """The newest lines that fit into what a tool may return."""
    budget = _DATA_CHARS
    kept: list[str] = []
    for line in reversed(lines):
        budget -= len(line)
        if budget < 0:
            break
        kept.append(line)
    return kept[::-1]


def _real(path: str) -> str:
    try:
        return str(Path(path).resolve())
    except (OSError, RuntimeError) as error:  # RuntimeError: links that lead in a circle
        raise ToolError(f"{path} cannot be read: {error}.") from error


def _open(real: str, path: str, allowed: Allowed) -> int:
    """Opens exactly the file that was allowed, without waiting on a pipe.

    A folder on the way may have been changed for a link since, so the kernel is asked what was
    opened. A second name for a file (hard link) says nothing of what it is: in folders where
    others may write it could be anybody's.
    """
    try:
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ToolError(f"{path} does not exist.") from error
    except OSError as error:
        raise ToolError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise ToolError(f"{path} is not a file.")
        if str(Path(f"/proc/self/fd/{descriptor}").readlink()) != real:
            raise ToolError(f"{path} changed while it was opened; try again.")
        if info.st_nlink > 1 and not allowed.named(real):
            raise ToolError(f"{path} has several names (hard links) and may not be read.")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _glob(pattern: str) -> re.Pattern[str]:
    """A glob as a regular expression: `**` crosses folders, `*` and `?` do not."""
    wild = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*\*|\*|\?)", str(PurePosixPath(pattern)))
    parts = [wild.get(piece, re.escape(piece)) for piece in pieces]
    return re.compile("".join(parts), re.DOTALL)

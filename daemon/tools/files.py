"""Excerpts of files that the operator allows to be read."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path, PurePosixPath

from daemon.tools.toolbox import ToolError
from tiers.contracts import ToolResult
from tiers.vocabulary import Provenance

_TAIL_BYTES = 256 * 1024
_SECRET_NAMES = re.compile(
    r"(?i)(shadow|\.pem$|\.key$|id_(rsa|ed25519|ecdsa)|secret|password|\.env$)"
)


def file_excerpt(*, readable: Sequence[str]) -> Callable[..., Awaitable[ToolResult]]:
    """The tool for an allow list of globs ("/var/log/**" goes through folders)."""
    allowed = [_glob(pattern) for pattern in readable]

    async def tool(*, path: str, lines: int = 30) -> ToolResult:
        return await asyncio.to_thread(_excerpt, path, min(lines, 200), allowed, readable)

    return tool


def _excerpt(
    path: str, lines: int, allowed: Sequence[re.Pattern[str]], readable: Sequence[str]
) -> ToolResult:
    if not path.startswith("/"):
        raise ToolError(f"{path} is not an absolute path; write it from / on.")
    # Links are followed first: the allow list is about what is really read.
    real = str(Path(path).resolve())
    if not any(pattern.fullmatch(real) for pattern in allowed) or _SECRET_NAMES.search(real):
        raise ToolError(f"{path} may not be read; allowed are {', '.join(readable)}.")
    descriptor = _open(real, path)
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - _TAIL_BYTES))
        raw = file.read(_TAIL_BYTES)
    if b"\0" in raw and not real.startswith("/proc/"):
        raise ToolError(f"{path} is not a text file.")
    text = raw.decode("utf-8", errors="replace").splitlines()
    if size > _TAIL_BYTES and text:
        text = text[1:]  # most likely cut in the middle
    shown = text[-lines:]
    if not shown:
        return ToolResult(ok=True, summary=f"{path} is empty.", provenance=Provenance.TEXT)
    summary = f"The last {len(shown)} lines of {path}: " + " | ".join(shown[-8:])
    return ToolResult(
        ok=True,
        summary=summary,
        data={"path": real, "bytes": size, "lines": shown},
        provenance=Provenance.TEXT,
    )


def _open(real: str, path: str) -> int:
    """Opens without following a link that was put there since, and without waiting on a pipe."""
    try:
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ToolError(f"{path} does not exist.") from error
    except OSError as error:
        raise ToolError(f"{path} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ToolError(f"{path} is not a file.")
    return descriptor


def _glob(pattern: str) -> re.Pattern[str]:
    """A glob as a regular expression: `**` crosses folders, `*` and `?` do not."""
    wild = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*\*|\*|\?)", str(PurePosixPath(pattern)))
    parts = [wild.get(piece, re.escape(piece)) for piece in pieces]
    return re.compile("".join(parts), re.DOTALL)

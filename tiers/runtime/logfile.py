"""The log of one llama-server: bounded by rotation while the server writes, and its last words."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path

from tiers.nofollow import no_follow

_MAX_BYTES = 4 * 1024 * 1024
_TAIL_BYTES = 8192
_ERRORS = re.compile(
    r"\berror\b|\bfail|\babort|terminate called|did not start|cannot|\sE\s", re.IGNORECASE
)
_ERROR_LEVEL = re.compile(r"[\d.]+ E ")
_STAMP = re.compile(r"^[\d.]+ [A-Z] ")


class LogFile:
    """`path` and one older file beside it. The server appends, so truncation is safe."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Makes the folder, and starts afresh when the file is half full."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.rotate(limit=_MAX_BYTES // 2)

    def rotate(self, *, limit: int = _MAX_BYTES) -> bool:
        """Copies the file away and empties it when it is larger than `limit`. Blocks shortly."""
        try:
            if self.path.stat().st_size <= limit:
                return False
        except FileNotFoundError:
            return False
        older = self.path.with_suffix(".log.1")
        try:
            with self.path.open("rb") as past, open(older, "wb", opener=no_follow) as kept:
                shutil.copyfileobj(past, kept)
        except OSError:
            # On a full disk the bound matters more than the past, which gives its room too.
            with contextlib.suppress(OSError):
                older.unlink()
        with open(self.path, "r+b", opener=no_follow) as file:
            file.truncate(0)
        return True

    def tail(self, *, since: int = 0) -> str:
        """The end of what was written after byte `since`, 8 KiB at most."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(since if since <= size else 0, size - _TAIL_BYTES))
                return file.read(_TAIL_BYTES).decode("utf-8", "replace")
        except OSError:
            return ""

    def last_words(self, *, since: int = 0) -> str:
        """The line that most likely says why the server ended, else ""."""
        text = self.tail(since=since)
        telling = [line.strip() for line in text.splitlines() if _ERRORS.search(line)]
        own = (line for line in telling if _ERROR_LEVEL.match(line))
        return _STAMP.sub("", next(own, telling[0] if telling else ""))[:300].rstrip(".")

    def size(self) -> int:
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

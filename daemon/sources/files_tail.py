"""One log file that grows: read in chunks, exact about where the next start goes on."""

from __future__ import annotations

import errno
import os

from daemon.sources.assemble import Assembled, Assembler
from daemon.sources.files_cursor import Position
from daemon.sources.files_open import HEAD_BYTES, Opened, check_text, digest, same_beginning
from daemon.sources.lines import LineSplitter

CHUNK_BYTES = 262_144


class TruncatedError(Exception):
    """The file no longer holds what was read: it was truncated or written anew in place."""


class Tail:
    """One file. Blocking: runs on the group's thread. Times are monotonic seconds except `now`."""

    def __init__(
        self,
        *,
        path: str,
        opened: Opened,
        offset: int,
        splitter: LineSplitter,
        assembler: Assembler,
        at: float,
    ) -> None:
        self.path = path
        self.dev = opened.dev
        self.ino = opened.ino
        self.rotated = False
        self.grown_at = at
        self._fd: int | None = opened.fd
        self._head = opened.head
        self._digest = digest(opened.head)
        self._offset = offset
        self._pending_start = offset
        self._splitter = splitter
        self._assembler = assembler

    @property
    def identity(self) -> tuple[int, int]:
        return (self.dev, self.ino)

    @property
    def open(self) -> bool:
        return self._fd is not None

    @property
    def held_back(self) -> bool:
        """An event waits for further lines."""
        return self._assembler.pending_lines > 0

    @property
    def safe_offset(self) -> int:
        """The first byte that is in no event yet: reading from here misses and doubles nothing."""
        if self._assembler.pending_lines:
            return self._pending_start
        return self._offset - self._splitter.unfinished

    def position(self) -> Position:
        return Position(
            path=self.path,
            dev=self.dev,
            ino=self.ino,
            head=self._digest,
            head_bytes=len(self._head),
            offset=self.safe_offset,
        )

    def as_opened(self) -> Opened | None:
        """The open file for comparing; None while it is closed."""
        if self._fd is None:
            return None
        return Opened(self._fd, self.dev, self.ino, os.fstat(self._fd).st_size, self._head)

    def is_truncated(self) -> bool:
        """Whether the open file no longer holds what was read."""
        if self._fd is None:
            return False
        if os.fstat(self._fd).st_size < self._offset:
            return True
        return not same_beginning(self._fd, self._head)

    def begins_like(self, opened: Opened) -> bool:
        """Whether another file has the beginning that this one had when it was looked at last."""
        return bool(self._head) and opened.head.startswith(self._head)

    def reopen(self, opened: Opened) -> None:
        """Goes on with the same file after `close`."""
        self.close()
        self._fd = opened.fd

    def close(self) -> None:
        """Gives the descriptor back; what is held back stays."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def read(self, *, at: float, now: float) -> Assembled | None:
        """One chunk's events; None at the end of what is there.

        Raises `TruncatedError`, `NotALogError` (binary after all), `OSError` (the disk fails).
        """
        if self._fd is None:
            return None
        data = os.pread(self._fd, CHUNK_BYTES, self._offset)
        # After the read: a chunk that was read from a file that was rewritten meanwhile is void.
        if not same_beginning(self._fd, self._head):
            raise TruncatedError(self.path)
        if not data:
            if os.fstat(self._fd).st_size < self._offset:
                raise TruncatedError(self.path)
            return None
        self.grown_at = at
        if len(self._head) < HEAD_BYTES:
            self._see_head()
        if self._offset == 0:
            check_text(self.path, data[:4096])
        if data[0] == 0 and not self._splitter.unfinished and not data.strip(b"\0"):
            self._offset = self._after_hole(len(data))
            return Assembled([], [], [], [])
        line_start = self._offset - self._splitter.unfinished
        lines = self._splitter.feed(data)
        done = self._assembler.feed(lines, now=now)
        self._mark_pending(data, line_start)
        self._offset += len(data)
        return done

    def flush(self, *, at: float, now: float, wait: float) -> Assembled | None:
        """At the end of what is there: the event that was held back, unless its trace may still
        go on. `wait` is in seconds since the file grew last."""
        if not self._assembler.pending_lines:
            return None
        if self._assembler.may_continue and at - self.grown_at < wait:
            return None
        return self._assembler.flush(now=now)

    def finish(self, *, now: float) -> Assembled:
        """Nothing more will come: a last line without its end is a line too."""
        lines = self._splitter.finish()
        done = self._assembler.feed(lines, now=now) if lines.texts else Assembled([], [], [], [])
        rest = self._assembler.flush(now=now)
        done.events += rest.events
        done.firsts += rest.firsts
        done.spans += rest.spans
        done.cut += rest.cut
        return done

    def restart(self) -> None:
        """From the beginning: the file was truncated. What was held back is forgotten."""
        if self._fd is None:
            return
        self._splitter.reset()
        self._assembler.discard()
        self._offset = 0
        self._see_head()

    def _see_head(self) -> None:
        assert self._fd is not None  # noqa: S101 -- only called while the file is open
        self._head = os.pread(self._fd, HEAD_BYTES, 0)
        self._digest = digest(self._head)

    def _mark_pending(self, data: bytes, line_start: int) -> None:
        """Remembers where the event that is held back begins: the last `pending` whole lines."""
        pending = self._assembler.pending_lines
        ends = data.count(b"\n")
        if not pending or pending > ends:
            return  # nothing held back, or it began in an earlier chunk
        if pending == ends:
            self._pending_start = line_start
            return
        position = len(data)
        for _ in range(pending + 1):
            position = data.rfind(b"\n", 0, position)
        self._pending_start = self._offset + position + 1

    def _after_hole(self, length: int) -> int:
        """The next offset after a chunk of NULs. A sparse hole is stepped over at once."""
        assert self._fd is not None  # noqa: S101 -- only called while reading
        end = self._offset + length
        try:
            return max(end, os.lseek(self._fd, end, os.SEEK_DATA))
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.EINVAL, errno.EOPNOTSUPP):
                return end  # no data further on, or a file system that knows no holes
            raise


def start_of_last_line(opened: Opened, *, limit: int) -> int:
    """Where the line begins that is being written right now; the end of the file when it is
    complete. Looks at most `limit` bytes back."""
    start = max(0, opened.size - limit)
    data = os.pread(opened.fd, opened.size - start, start)
    newline = data.rfind(b"\n")
    return opened.size if newline < 0 and start > 0 else start + newline + 1

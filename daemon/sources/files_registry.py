"""Which files a group follows: new, renamed, truncated, vanished, unfit.

Blocking and without a clock of its own. A file is what its device, inode and first bytes say, not
what its name says. Times named `at` are monotonic seconds.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import structlog

from daemon.events import Cursor
from daemon.sources.assemble import Assembler
from daemon.sources.files_cursor import Position, dump, load
from daemon.sources.files_find import find, folders, is_same, locate, rotated_after
from daemon.sources.files_open import NotALogError, Opened, is_copy, open_log
from daemon.sources.files_tail import Tail, start_of_last_line
from daemon.sources.lines import LineSplitter
from daemon.sources.settings import FilesSettings

_Identity = tuple[int, int]
_log = structlog.get_logger(__name__)


class Registry:
    """All files of one group. `tails` are those that are followed, by identity; `losses` gathers
    files that cannot be read, for the group to hand over."""

    def __init__(
        self,
        *,
        source: str,
        settings: FilesSettings,
        make_assembler: Callable[[str], Assembler],
        cursor: Cursor | None,
    ) -> None:
        self.tails: dict[_Identity, Tail] = {}
        self.losses: Counter[str] = Counter()
        self._settings = settings
        self._make_assembler = make_assembler
        self._old_patterns, positions = load(cursor)
        self._resume = {(p.dev, p.ino): p for p in positions}
        # path -> identity and reason of what is not read; said once, until it changes.
        self._skipped: dict[str, tuple[_Identity, str]] = {}
        self._said_too_many = False
        self._log = _log.bind(source=source)

    def cursor(self) -> Cursor:
        """Where everything goes on, right after what was read so far."""
        positions = [tail.position() for tail in self.tails.values()]
        return dump(self._settings.paths, [*self._resume.values(), *positions])

    def folders(self) -> list[str]:
        """Where changes may concern this group."""
        return folders(self._settings.paths, [tail.path for tail in self.tails.values()])

    def scan(self, *, at: float) -> None:
        """Looks at all paths: follows what is new, marks what left its place as rotated."""
        settings = self._settings
        found = find(settings.paths, settings.exclude, limit=settings.max_files)
        if found.left_out and not self._said_too_many:
            self._said_too_many = True
            why = f"{found.left_out} files are over max_files = {settings.max_files}"
            self._log.warning("files left out", why=f"{why}; narrow the paths or raise it")
        here: dict[_Identity, str] = {}
        for path in found.paths:
            identity = self._identity_of(path)
            if identity is not None:
                here.setdefault(identity, path)
        self._place(here, at=at)
        # First what was left in the middle, under whatever name, then what is new: a rotated
        # file must be known before the one that took its name.
        for identity in [i for i in here if i in self._resume and i not in self.tails]:
            self._resume_here(here[identity], self._resume[identity], at=at)
        for known in list(self._resume.values()):
            self._resume_elsewhere(known, here, at=at)
        for identity, path in here.items():
            if identity not in self.tails:
                self._adopt(path, identity, known_pattern=found.paths[path], at=at)
        self._old_patterns = frozenset(settings.paths)

    def truncated(self, tail: Tail, *, at: float) -> bool:
        """A followed file was truncated: it starts anew. True: what was not read of it is read
        from the copy that was made before; False: there is no copy."""
        hit = locate(tail.position(), skip=set(self.tails))
        if hit is None:
            return False
        path, opened = hit
        self._log.info("file truncated", file=tail.path, goes_on_in=path)
        copy = self._follow(path, opened, offset=min(tail.safe_offset, opened.size), at=at)
        copy.rotated = True
        return True

    def unreadable(self, path: str, identity: _Identity, error: OSError | NotALogError) -> None:
        """Says and counts once that a path is not read, and why."""
        if isinstance(error, NotALogError):
            reason, why, quiet = error.reason, str(error), error.quiet
        elif isinstance(error, FileNotFoundError):
            return  # vanished between the look and the opening
        else:
            reason, quiet = "unreadable file", False
            why = f"{path} cannot be read: {error.strerror}; grant the daemon's user read access"
        if self._skipped.get(path) == (identity, reason):
            return
        self._skipped[path] = (identity, reason)
        if not quiet:
            self.losses[reason] += 1
            self._log.warning("file skipped", file=path, why=why)

    def lose(self, tail: Tail, error: OSError | NotALogError) -> None:
        """A followed file cannot be read any longer; tried again at every scan."""
        tail.close()
        self.tails.pop(tail.identity, None)
        if isinstance(error, OSError):
            self._resume[tail.identity] = tail.position()
        self.unreadable(tail.path, tail.identity, error)

    def reopen(self, tail: Tail) -> bool:
        """Opens a followed file again that was closed to spare descriptors."""
        hit = locate(tail.position(), skip=set(self.tails) - {tail.identity})
        if hit is None:
            return False
        path, opened = hit
        if (opened.dev, opened.ino) != tail.identity:
            os.close(opened.fd)
            return False
        tail.path = path
        tail.reopen(opened)
        return True

    # --- the steps of a scan ------------------------------------------------------------------

    def _identity_of(self, path: str) -> _Identity | None:
        try:
            status = Path(path).stat()
        except OSError as error:
            self.unreadable(path, (0, 0), error)
            return None
        return (status.st_dev, status.st_ino)

    def _place(self, here: dict[_Identity, str], *, at: float) -> None:
        for identity, tail in list(self.tails.items()):
            path = here.get(identity)
            if path is not None:
                tail.path = path
                tail.rotated = False
            elif not tail.rotated:
                tail.rotated = True
                tail.grown_at = at  # its writer may still have it open: wait from now on
                if not tail.open and not self.reopen(tail):
                    del self.tails[identity]  # gone, and read to its end when it was closed

    def _resume_here(self, path: str, known: Position, *, at: float) -> None:
        opened = self._open(path, (known.dev, known.ino))
        if opened is None:
            return
        if is_same(known, opened):
            del self._resume[(known.dev, known.ino)]
            self._follow(path, opened, offset=known.offset, at=at)
        else:
            os.close(opened.fd)

    def _resume_elsewhere(self, known: Position, here: dict[_Identity, str], *, at: float) -> None:
        if known.path in self._skipped and os.path.lexists(known.path):
            return  # there, but not readable now
        if not Path(known.path).parent.is_dir():
            return  # not mounted now
        hit = locate(known, skip=set(self.tails))
        del self._resume[(known.dev, known.ino)]
        if hit is None:
            self._log.info("file gone", file=known.path, after_byte=known.offset)
            return
        path, opened = hit
        tail = self._follow(path, opened, offset=min(known.offset, opened.size), at=at)
        tail.rotated = tail.identity not in here
        for newer in rotated_after(known.path, path):
            identity = self._identity_of(newer)
            if identity is None or identity in here or identity in self.tails:
                continue  # found by its name, or followed already
            between = self._open(newer, identity)
            if between is not None:
                self._follow(newer, between, offset=0, at=at).rotated = True

    def _adopt(self, path: str, identity: _Identity, *, known_pattern: str, at: float) -> None:
        opened = self._open(path, identity)
        if opened is None:
            return
        for tail in list(self.tails.values()):
            if tail.rotated or not tail.begins_like(opened):
                continue
            if not tail.open and not self.reopen(tail):
                continue
            original = tail.as_opened()
            if tail.is_truncated():
                os.close(opened.fd)
                return  # reading the original will find this copy
            if original is not None and is_copy(opened, original):
                os.close(opened.fd)
                return  # a copy whose original goes on: read once it is truncated, from there
        offset = 0
        is_new_pattern = known_pattern not in self._old_patterns
        if is_new_pattern and self._settings.start_at == "end":
            offset = start_of_last_line(opened, limit=self._settings.line_limit)
        self._follow(path, opened, offset=offset, at=at)

    def _follow(self, path: str, opened: Opened, *, offset: int, at: float) -> Tail:
        tail = Tail(
            path=path,
            opened=opened,
            offset=offset,
            splitter=LineSplitter(limit=self._settings.line_limit),
            assembler=self._make_assembler(path),
            at=at,
        )
        self.tails[tail.identity] = tail
        return tail

    def _open(self, path: str, identity: _Identity) -> Opened | None:
        skipped = self._skipped.get(path)
        if skipped is not None and skipped[0] == identity and skipped[1] != "unreadable file":
            return None  # a FIFO or binary, as it was
        try:
            opened = open_log(path)
        except (NotALogError, OSError) as error:
            self.unreadable(path, identity, error)
            return None
        if self._skipped.pop(path, None) is not None:
            self._log.info("file readable", file=path)
        return opened

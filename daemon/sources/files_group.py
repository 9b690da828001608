"""Reads the files of one group in turns. Blocking: `FilesSource` runs it on a thread.

Times named `at` are monotonic seconds, `now` is Unix time.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from daemon.events import Cursor, Event, Loss
from daemon.sources.assemble import Assembled, Assembler, ParseHeader
from daemon.sources.files_find import may_match
from daemon.sources.files_open import NotALogError
from daemon.sources.files_registry import Registry
from daemon.sources.files_tail import Tail, TruncatedError
from daemon.sources.settings import FilesSettings

_CHUNKS_A_TURN = 4  # then the next file has its turn
_EVENTS_A_ROUND = 5_000

_log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one look at the files brought. `cursor` is right after `events`; None: as before.
    `more`: there is more to read at once. `held_back`: an event waits for its further lines.
    `folders` is where changes may concern the group."""

    events: tuple[Event, ...]
    losses: tuple[Loss, ...]
    cursor: Cursor | None
    more: bool
    held_back: bool
    folders: tuple[str, ...]
    files: int


class FileGroup:
    """All files that one group's globs match."""

    def __init__(
        self,
        *,
        source: str,
        settings: FilesSettings,
        make_parser: Callable[[], ParseHeader],
        cursor: Cursor | None,
    ) -> None:
        self._source = source
        self._settings = settings
        self._make_parser = make_parser
        self._registry = Registry(
            source=source, settings=settings, make_assembler=self._assembler, cursor=cursor
        )
        self._handed_over = cursor
        self._next_scan = 0.0
        self._scanned = False
        self._turn = 0
        self._events: list[Event] = []
        self._losses: Counter[str] = Counter()
        self._folders: tuple[str, ...] = ()
        self._log = _log.bind(source=source)

    def close(self) -> None:
        """Gives all descriptors back. Nothing is lost: the cursor says where to go on."""
        for tail in self._registry.tails.values():
            tail.close()

    def poll(self, changed: frozenset[str] | None, *, at: float, now: float) -> Round:
        """Reads what is new, up to a bound. `changed`: only these paths had a change; None: look
        at all. A file that fails is skipped and said; the others go on."""
        if not self._scanned or at >= self._next_scan or self._moved(changed):
            self._scan(at=at)
        more = self._read(changed, at=at, now=now)
        if not more:
            self._drop_finished(at=at, now=now)
            self._limit_open()
        cursor = self._registry.cursor()
        unchanged = cursor == self._handed_over
        self._handed_over = cursor
        losses = self._losses + self._registry.losses
        done = Round(
            events=tuple(self._events),
            losses=tuple(Loss(reason=reason, count=count) for reason, count in losses.items()),
            cursor=None if unchanged else cursor,
            more=more,
            held_back=any(tail.held_back for tail in self._registry.tails.values()),
            folders=self._folders,
            files=len(self._registry.tails),
        )
        self._events = []
        self._losses.clear()
        self._registry.losses.clear()
        return done

    # --- finding ------------------------------------------------------------------------------

    def _scan(self, *, at: float) -> None:
        self._registry.scan(at=at)
        self._scanned = True
        self._next_scan = at + self._settings.rescan_interval
        self._folders = tuple(self._registry.folders())

    def _moved(self, changed: frozenset[str] | None) -> bool:
        """Whether a name now means another file than the one that is followed under it."""
        known = {tail.path: tail for tail in self._registry.tails.values() if not tail.rotated}
        for path in known if changed is None else changed:
            tail = known.get(path)
            if tail is None:
                if may_match(path, self._settings.paths):
                    return True
                continue
            try:
                status = Path(path).stat()
            except OSError:
                return True
            if (status.st_dev, status.st_ino) != tail.identity:
                return True
        return False

    # --- reading ------------------------------------------------------------------------------

    def _read(self, changed: frozenset[str] | None, *, at: float, now: float) -> bool:
        """True: there is more. What was rotated away is finished before anything else goes on."""
        tails = list(self._registry.tails.values())
        if self._read_all((t for t in tails if t.rotated), at=at, now=now):
            return True
        others = [
            t
            for t in tails
            if not t.rotated and (changed is None or t.path in changed or t.held_back)
        ]
        first = self._turn % max(1, len(others))
        more = self._read_all(others[first:] + others[:first], at=at, now=now)
        self._turn = self._turn + 1 if more else 0
        return more

    def _read_all(self, tails: Iterable[Tail], *, at: float, now: float) -> bool:
        more = False
        for tail in tails:
            if len(self._events) >= _EVENTS_A_ROUND:
                return True
            try:
                more = self._read_turn(tail, at=at, now=now) or more
            except TruncatedError:
                self._restart(tail, at=at, now=now)
                more = True
            except (NotALogError, OSError) as error:
                self._registry.lose(tail, error)
        return more

    def _read_turn(self, tail: Tail, *, at: float, now: float) -> bool:
        if not tail.open and not self._reopen_if_grown(tail):
            return False
        for _ in range(_CHUNKS_A_TURN):
            done = tail.read(at=at, now=now)
            if done is None:
                flushed = tail.flush(at=at, now=now, wait=self._settings.join_wait)
                if flushed is not None:
                    self._take(flushed)
                return False
            self._take(done)
            if len(self._events) >= _EVENTS_A_ROUND:
                break
        return True

    def _reopen_if_grown(self, tail: Tail) -> bool:
        if Path(tail.path).stat().st_size == tail.safe_offset:
            return False
        return self._registry.reopen(tail)

    def _restart(self, tail: Tail, *, at: float, now: float) -> None:
        if not self._registry.truncated(tail, at=at):
            self._log.info("file truncated", file=tail.path)
            self._take(tail.finish(now=now))
        tail.restart()

    def _drop_finished(self, *, at: float, now: float) -> None:
        quiet = [
            tail
            for tail in self._registry.tails.values()
            if tail.rotated and at - tail.grown_at >= self._settings.rotated_wait
        ]
        if not quiet:
            return
        self._scan(at=at)  # it may match under its new name: then it stays
        for tail in quiet:
            if tail.rotated and tail.identity in self._registry.tails:
                self._take(tail.finish(now=now))
                tail.close()
                del self._registry.tails[tail.identity]

    def _limit_open(self) -> None:
        is_open = [t for t in self._registry.tails.values() if t.open and not t.rotated]
        excess = len(is_open) - self._settings.max_open
        if excess > 0:
            for tail in sorted(is_open, key=lambda t: t.grown_at)[:excess]:
                tail.close()

    def _take(self, done: Assembled) -> None:
        self._events += done.events
        if done.empty:
            self._losses["empty line"] += len(done.empty)
        if done.cut:
            self._losses["line too long"] += done.cut

    def _assembler(self, path: str) -> Assembler:
        settings = self._settings
        return Assembler(
            source=self._source,
            file=path,
            unit=settings.unit or unit_of(path),
            parse=self._make_parser(),
            join=settings.join_lines,
            max_lines=settings.join_max_lines,
            max_characters=settings.join_max_bytes,
        )


def unit_of(path: str) -> str:
    """The program that a log file probably belongs to: its stem without rotation and date, or its
    folder where the stem says nothing (/var/log/nginx/error.log)."""
    stem = Path(path).name.split(".", 1)[0]
    stem = stem.rstrip("-_0123456789") or stem
    parent = Path(path).parent.name
    if stem in _GENERIC_STEMS and parent not in ("", "log", "logs"):
        return parent
    return stem


_GENERIC_STEMS = frozenset(
    ("access", "current", "error", "err", "log", "out", "output", "stdout", "stderr")
)

"""Log files: one source a configured group of globs."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from daemon.events import Batch, Cursor
from daemon.sources.base import Emit
from daemon.sources.files_group import FileGroup
from daemon.sources.files_watch import Changes
from daemon.sources.raw_lines import header_parser
from daemon.sources.settings import FilesSettings
from daemon.sources.threads import OneThread
from tiers.vocabulary import SourceKind

_POLL_UNANNOUNCED = 0.25  # seconds between looks where the host announces no changes


class FilesSource:
    """Follows every file that the group's globs match, over rotation, truncation and restarts.

    The cursor names each file by device, inode and beginning, with the first byte that is in no
    event yet. Everything blocking runs on a thread of this source, so that a dead network share
    stops no other.
    """

    kind = SourceKind.FILE

    def __init__(
        self,
        *,
        name: str,
        settings: FilesSettings,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = f"file:{name}"
        self._settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._files = 0

    @property
    def watching(self) -> str:
        paths = self._settings.paths
        more = f" and {len(paths) - 2} more patterns" if len(paths) > 2 else ""
        return f"{self._files} files of {', '.join(paths[:2])}{more}"

    async def run(self, *, cursor: Cursor | None, emit: Emit) -> None:
        """Until cancelled. Raises `SourceError` for a cursor that is not one of this source."""
        settings = self._settings
        group = FileGroup(
            source=self.name,
            settings=settings,
            make_parser=functools.partial(header_parser, settings.format, clock=self._clock),
            cursor=cursor,
        )
        thread = OneThread(name=self.name)
        changes = Changes(source=self.name)
        changed: frozenset[str] | None = None
        try:
            while True:
                look = functools.partial(
                    group.poll, changed, at=self._monotonic(), now=self._clock()
                )
                done = await thread.call(look)
                self._files = done.files
                if done.cursor is not None or done.events or done.losses:
                    await emit(
                        Batch(
                            source=self.name,
                            events=done.events,
                            cursor=done.cursor,
                            losses=done.losses,
                        )
                    )
                changed = None
                if not done.more:
                    changes.watch(done.folders)
                    changed = await changes.wait(
                        self._pause(held_back=done.held_back, changes=changes)
                    )
        finally:
            thread.close(group.close)
            await changes.close()

    def _pause(self, *, held_back: bool, changes: Changes) -> float:
        pause = self._settings.poll_interval
        if changes.polling:
            pause = min(pause, _POLL_UNANNOUNCED)
        if held_back:
            pause = min(pause, max(0.01, self._settings.join_wait))
        return pause
